"""The line search of LBFGS: a step length with the strong Wolfe conditions (Nocedal and Wright 2006, algorithms 3.5, 3.6)."""

import math


def cubic(x1, f1, g1, x2, f2, g2, low=None, high=None):
    """The minimum, within low..high, of the cubic with values f and slopes g at x1 and x2 (equation 3.59)."""
    if low is None:
        low, high = min(x1, x2), max(x1, x2)
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1 * d1 - g1 * g2
    if not square >= 0:
        return (low + high) / 2
    d2 = math.sqrt(square)
    if x1 <= x2:
        best = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
    else:
        best = x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2))
    return min(max(best, low), high)


def strong_wolfe(along, t, d, f, g, slope, most, c1=1e-4, c2=0.9, tolerance=1e-9):
    """A step t in direction d with f(t) <= f + c1 t slope and |slope(t)| <= c2 |slope|; at most `most` + 1 evaluations.

    along(t) gives the loss and the gradient at x + t d; f, g, slope are those at t = 0. Gives (f, g, t, evaluations).
    """

    def point(t):
        value, gradient = along(t)
        return t, value, gradient, float(gradient @ d)

    longest = float(abs(d).max())
    before, now, calls, tries, done = (0, f, g, slope), point(t), 1, 0, False
    while tries < most:  # go on until the bracket (before, now) holds a good step
        t, value, _, rise = now
        if value > f + c1 * t * slope or (tries > 1 and value >= before[1]):
            bracket = [before, now]
            break
        if abs(rise) <= -c2 * slope:
            bracket, done = [now], True
            break
        if rise >= 0:
            bracket = [before, now]
            break
        t_before = before[0]
        longer = cubic(*_numbers(before), *_numbers(now), t + 0.01 * (t - t_before), t * 10)
        before, now = now, point(longer)
        calls, tries = calls + 1, tries + 1
    else:
        bracket, done = [(0, f, g, slope), now], True

    stuck = False
    low, high = (0, 1) if bracket[0][1] <= bracket[-1][1] else (1, 0)
    while not done and tries < most:  # make the bracket smaller
        (a, *_), (b, *_) = bracket
        if abs(b - a) * longest < tolerance:
            break
        t = cubic(*_numbers(bracket[0]), *_numbers(bracket[1]))
        left, right = min(a, b), max(a, b)
        margin = 0.1 * (right - left)
        if min(right - t, t - left) < margin:  # too near to an end, for the second time or quite at it: go inwards
            if stuck or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        now = point(t)
        calls, tries = calls + 1, tries + 1
        _, value, _, rise = now
        if value > f + c1 * t * slope or value >= bracket[low][1]:
            bracket[high] = now
            low, high = (0, 1) if bracket[0][1] <= bracket[1][1] else (1, 0)
        else:
            if abs(rise) <= -c2 * slope:
                done = True
            elif rise * (bracket[high][0] - bracket[low][0]) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = now
    t, f, g, _ = bracket[low if len(bracket) > 1 else 0]
    return f, g, t, calls


def _numbers(point):
    t, f, _, slope = point
    return t, f, slope
