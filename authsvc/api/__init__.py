"""The account API: JSON for IMS's services and support, over the use cases that the pages and commands use.

operations.py is the one table; the routes (views.py) and the document (document.py) both come of it.
"""
