"""A backward pass step by step, with every number: `explain`, its page (HTML), its text, and the lessons."""

from tensorlite.explainer.explanation import Explanation, explain
from tensorlite.explainer.steps import Numbers, Step, Variable
