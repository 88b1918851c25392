"""Promotion: copy an image from one repository to another before it is released there."""
