"""The milter behind Postfix's `smtpd_milters`: signs what leaves, judges what arrives."""
