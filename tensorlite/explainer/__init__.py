"""A backward pass step by step, with every number: `explain`, its page (HTML), its text, and the lessons."""

from tensorlite.explainer.builder import explain
from tensorlite.explainer.explanation import Explanation
from tensorlite.explainer.steps import Numbers, Step, Variable
