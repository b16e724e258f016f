"""What Python code may do, checked in a private module.

The request names a function, which raises when it finds something wrong.
"""
