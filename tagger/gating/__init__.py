"""Commands that judge an image before its tags move, or that run afterwards."""
