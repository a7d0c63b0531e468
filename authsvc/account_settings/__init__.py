"""What an account's admins may change, one module per use case, for the pages and for the API alike.

It stands above mfa, sessions and devices because one act touches all three: a method that is closed ends remembered devices,
and a member who is switched inactive is signed out.
"""
