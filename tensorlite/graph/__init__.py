"""The recorded graph as a picture: `draw_graph`. record.py is the plain data, fold.py what is drawn, svg.py how."""

from tensorlite.graph.picture import Graph, draw_graph
from tensorlite.graph.record import Call, Item, Record

__all__ = ["Call", "Graph", "Item", "Record", "draw_graph"]
