"""How it travels: association, spool, completion, durable workflow, delivery.

This half of the program holds no pixels. What is seen in a series is the plugin's business.
"""
