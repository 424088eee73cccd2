"""The milter behind Postfix's `smtpd_milters`: signs outgoing mail, checks incoming mail."""
