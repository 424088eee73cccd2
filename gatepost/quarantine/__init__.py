"""Quarantine: mail that is kept back beside the mail path, and the service that shows it.

A holder has the mail: the LMTP proxy its folder, and a process beside Postfix the hold queue. The
accounts service asks all holders and joins their answers.
"""
