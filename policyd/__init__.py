"""The policy server behind Postfix's `check_policy_service`: greylisting, DNS lists, limits."""
