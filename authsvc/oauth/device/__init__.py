"""The device authorization grant (RFC 8628): a device without a keyboard or a browser is let in from another screen."""
