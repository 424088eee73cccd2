"""Tests of logins through an identity provider."""
