"""A real trainer of one page: softmax regression from a box's place and size to its class."""
