"""Special functions as named primitives of every backend: sigmoid, erf, erfc, erfinv, lgamma, digamma, polygamma, sinc.

Written plainly in xp, elementwise and without branches on values. Each states its relative error in float64; in float32 it
is a few roundings. Halves are computed in float32. Series and recurrences: Abramowitz and Stegun, chapters 6 and 7.
"""

import functools
import math

# erfc(z) = t exp(-z^2) sum_k c_k T_k(2t - 1), t = 2 / (2 + z), for z >= 0: a Chebyshev series fitted in 40 digits;
# relative error 3.6e-15 with all terms, 5e-9 with the first 13. Near 0 erf has its Taylor series.
_ERFC = (
    0.5770337386164697, 0.3554369212704985, 0.06509515882878653, 0.003671142395836639, -0.0011128447433526325,
    -0.0001607582991537808, 3.278031574173137e-05, 5.442441645505016e-06, -1.5154665553171482e-06,
    -1.4297608181169865e-07, 8.234608827419493e-08, -1.2962846852306563e-09, -4.154721631015199e-09,
    6.347058278362811e-10, 1.4320822712256225e-10, -6.160390105204585e-11, 2.0612138554721698e-12,
    3.5714931488477042e-12, -8.586422843251796e-13, -6.14560021379063e-14, 7.418725748596617e-14,
    -1.2895042755032325e-14, -2.358726385710632e-15, 1.5729349381685912e-15, -2.2782966239546465e-16,
)  # fmt: skip
_ERF_TAYLOR = tuple(2 / math.sqrt(math.pi) * (-1) ** k / (math.factorial(k) * (2 * k + 1)) for k in range(12))
_ERFINV_TAYLOR = tuple(
    math.sqrt(math.pi) / 2 * (math.pi / 4) ** k * c for k, c in enumerate((1, 1 / 3, 7 / 30, 127 / 630, 4369 / 22680))
)

_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)  # B_2, B_4, ...

# lgamma(2 + e) = (1 - gamma) e + sum_{k>1} (zeta(k) - 1) (-e)^k / k, for |e| <= 1/2
_LGAMMA = (
    0.42278433509846713, 0.3224670334241132, -0.0673523010531981, 0.020580808427784546, -0.007385551028673986,
    0.0028905103307415234, -0.001192753911703261, 0.0005096695247430425, -0.00022315475845357939, 9.945751278180853e-05,
    -4.492623673813314e-05, 2.050721277567069e-05, -9.439488275268397e-06, 4.374866789907488e-06, -2.039215753801366e-06,
    9.55141213040742e-07, -4.492469198764566e-07, 2.1207184805554665e-07, -1.0043224823968099e-07, 4.7698101693639804e-08,
    -2.2711094608943164e-08, 1.0838659214896955e-08, -5.183475041970047e-09, 2.4836745438024785e-09, -1.1921401405860912e-09,
)  # fmt: skip

# digamma(r + d) = sum_k (-1)^(k+1) zeta(k + 1, r) d^k around its root r (in two parts, the first has few bits), for |d| < 0.4
_DIGAMMA_ROOT = (1.4616321325302124, 1.2438149938918909e-08)
_DIGAMMA = (
    0.9676722454476212, -0.4427631689835921, 0.258499760955651, -0.16394270544240652, 0.10782405069126237,
    -0.07219956125645471, 0.04880428816414311, -0.03316112647484736, 0.022597648232218104, -0.01542476590494896,
    0.010538791616612175, -0.007204534386356869, 0.004926781395729853, -0.003369801655439328, 0.002305126326734928,
    -0.0015769367714301972, 0.0010788252019162967, -0.0007380709389960052, 0.000504953265834602, -0.0003454680251063077,
    0.00023635601564027053, -0.00016170622091974803, 0.0001106337276874741, -7.569179582195066e-05, 5.178575795222081e-05,
    -3.5430070947659604e-05, 2.424006611860132e-05, -1.6584242271854135e-05,
)  # fmt: skip


def _polynomial(coefficients, x):
    """c0 + c1 x + c2 x^2 + ..., by Horner's rule."""
    total = coefficients[-1] * x
    for c in reversed(coefficients[1:-1]):
        total += c
        total *= x
    total += coefficients[0]
    return total


def _wide(primitive):
    """Halves are computed in float32; without warnings; the result has the dtype of x."""

    @functools.wraps(primitive)
    def call(self, x, *args):
        wide = x if x.dtype.itemsize > 2 else x.astype(self.xp.float32)
        with self.quiet():
            return self.in_chunks(lambda part: primitive(self, part, *args), wide).astype(x.dtype, copy=False)

    return call


class SpecialFunctions:
    """The primitives; `xp` and `quiet` are the backend's."""

    def in_chunks(self, function, x):
        """function(x), of each element by itself: a backend may call it on parts of x, whose temporaries stay in the cache."""
        return function(x)

    def sigmoid(self, x):
        """1 / (1 + exp(-x)) as exp(min(x, 0)) / (1 + exp(-|x|)): nothing overflows, full relative precision for every x."""
        xp = self.xp
        if x.dtype.itemsize == 2:
            return self.sigmoid(x.astype(xp.float32)).astype(x.dtype)
        zero, one = self.number(0, x.dtype), self.number(1, x.dtype)
        return xp.exp(xp.minimum(x, zero)) / (one + xp.exp(-xp.abs(x)))

    @_wide
    def sinc(self, x, order=0):
        """sin(pi x) / (pi x), or its derivative of any order. With u = pi x and f = sin(u) / u: u f' + f = cos(u) and so on,
        u f^(n) + n f^(n-1) = sin(u + n pi / 2); for small u the Taylor series, as that recurrence loses digits."""
        xp, bound = self.xp, order + 2.0
        u = math.pi * x
        far_u = xp.where(xp.abs(u) < bound, bound, u)
        s, c = xp.sin(far_u), xp.cos(far_u)
        far = s / far_u
        for n in range(1, order + 1):
            far = ((c, -s, -c, s)[(n - 1) % 4] - n * far) / far_u
        near_u = xp.clip(u, -bound, bound)
        series = [
            (-1) ** k / math.factorial(2 * k - order) / (2 * k + 1)  # (2k)! / (2k + 1)! = 1 / (2k + 1)
            for k in range((order + 1) // 2, 12 + 2 * order + 6)
        ]
        near = _polynomial(series, near_u * near_u)
        near = near * near_u if order % 2 else near
        return math.pi**order * xp.where(xp.abs(u) < bound, near, far)

    @_wide
    def i0(self, x, order=0):
        """The modified Bessel function I0 or its derivative of any order: the mean over angles a of cos(a)^order e^(x cos a),
        by the trapezoidal rule, which is exact to rounding for 4 * 64 angles while I0 is finite. Relative error 1e-13 at
        x = 700, less for smaller ones."""
        n = 64 if x.dtype == self.xp.float64 else 24
        x = x.astype(self.xp.float64, copy=False)
        total = self.xp.zeros_like(x)
        for j in range(n):
            c = math.cos((j + 0.5) * math.pi / (2 * n))  # a quarter of the circle stands for all of it
            half, weight = self.xp.sinh(0.5 * c * x), c**order / n
            if order % 2:
                total += (2 * weight * half) * self.xp.cosh(0.5 * c * x)  # sinh(c x)
            else:
                total += weight + (2 * weight * half) * half  # cosh(c x)
        return total

    # ---------------------------------------------------------------- the error function
    def _erfc_series(self, z):
        """exp(z^2) erfc(z) for z >= 0."""
        t = 2 / (2 + z)
        coefficients = _ERFC if z.dtype == self.xp.float64 else _ERFC[:13]
        u2, b0, b1 = 4 * t - 2, 0.0, 0.0
        for c in reversed(coefficients[1:]):  # Clenshaw's recurrence
            step = u2 * b0
            step -= b1
            step += c
            b0, b1 = step, b0
        return t * (u2 * b0 * 0.5 - b1 + coefficients[0])

    @_wide
    def erf(self, x):
        """The error function 2/sqrt(pi) int_0^x exp(-t^2) dt; relative error 4e-15."""
        xp = self.xp
        z = xp.abs(x)
        far = 1 - xp.exp(-z * z) * self._erfc_series(z)
        small = xp.minimum(z, 0.5)
        near = small * _polynomial(_ERF_TAYLOR, small * small)
        return xp.copysign(xp.where(z < 0.5, near, far), x)

    @_wide
    def erfc(self, x):
        """1 - erf(x); relative error 5e-15 also far out, where it is exp(-x^2) / (x sqrt(pi)), down to 1e-307."""
        xp = self.xp
        z = xp.minimum(xp.abs(x), 1000.0)
        a = xp.rint(z * 64) / 64  # few bits: a^2 is exact, and so exp(-z^2) = exp(-a^2) exp((a - z) (a + z)) is sharp
        tail = xp.exp(-a * a) * xp.exp((a - z) * (a + z)) * self._erfc_series(z)
        small = xp.clip(x, -0.5, 0.5)
        near = 1 - small * _polynomial(_ERF_TAYLOR, small * small)
        return xp.where(z < 0.5, near, xp.where(x < 0, 2 - tail, tail))

    @_wide
    def erfinv(self, y):
        """The x with erf(x) = y; relative error 1e-15. A start good to 3 digits (Taylor near 0, else Winitzki's formula), then
        Halley's steps, which treble the digits; beyond 1/2 they solve erfc(x) = 1 - y, so nothing cancels."""
        xp, c = self.xp, 0.147
        a = xp.abs(y)
        p = 1 - a
        near = xp.minimum(a, 0.5)
        near = near * _polynomial(_ERFINV_TAYLOR, near * near)
        log = xp.log(p * (2 - p))
        h = 2 / (math.pi * c) + log / 2
        x = xp.where(a <= 0.5, near, xp.sqrt(xp.sqrt(h * h - log / c) - h))
        for _ in range(2):
            missing = xp.where(a <= 0.5, self.erf(x) - a, p - self.erfc(x))
            u = missing * (math.sqrt(math.pi) / 2) * xp.exp(x * x)
            x = x - u / (1 + x * u)
        return xp.copysign(xp.where(a == 1, math.inf, x), y)

    # ---------------------------------------------------------------- the gamma function
    @_wide
    def lgamma(self, x):
        """ln |Gamma(x)|; relative error 2e-15 for x > 0; for x < 0, where it has zeros of its own, that of its largest part.

        From x = 10 Stirling's series; down to 2 +- 1/2 by Gamma(x) = (x - 1) Gamma(x - 1), there the Taylor series; negative
        numbers by reflection."""
        xp = self.xp
        z = xp.abs(x)
        big = xp.maximum(z, 10.0)
        series = [b / (2 * k * (2 * k - 1)) for k, b in enumerate(_BERNOULLI, 1)]
        log = xp.log(big)
        far = (big - 0.5) * (log - 1) + (math.log(2 * math.pi) - 1) / 2
        far = far + _polynomial(series, 1 / (big * big)) / big
        e, product = xp.minimum(z, 10.0), 1.0
        for _ in range(8):
            above = e > 2.5
            e = xp.where(above, e - 1, e)
            product = xp.where(above, product * e, product)
        low, middle = e < 0.5, e < 1.5
        d = xp.where(low, e, xp.where(middle, e - 1, e - 2))
        near = d * _polynomial(_LGAMMA, d) + xp.log(product)
        near = near - xp.where(middle, xp.log1p(d), 0.0) - xp.where(low, xp.log(e), 0.0)
        out = xp.where(z < 10, near, far)
        part = xp.abs(
            x - xp.rint(x)
        )  # Gamma(x) Gamma(-x) = -pi / (x sin pi x), where sin pi x is pi part for tiny ones
        wide = xp.maximum(part, 1e-8)
        mirrored = -xp.log(z) - xp.log(part) - xp.log(xp.sin(math.pi * wide) / (math.pi * wide)) - out
        out = xp.where(x < 0, mirrored, out)
        return xp.where(xp.isinf(x) | ((x < 0) & (part == 0)), math.inf, out)

    @_wide
    def digamma(self, x):
        """The slope of ln Gamma; relative error 3e-15 for x > 0, with a Taylor series around its root 1.46; for x < 0 that of
        its largest part. Up to 10 by digamma(x) = digamma(x + 1) - 1 / x, then the asymptotic series."""
        xp = self.xp
        y = xp.where(x < 0, 1 - x, x)
        z, total = y, 0.0
        for _ in range(10):
            below = z < 10
            total = total - xp.where(below, 1 / z, 0.0)
            z = xp.where(below, z + 1, z)
        series = [b / (2 * k) for k, b in enumerate(_BERNOULLI, 1)]
        square = 1 / (z * z)
        out = total + xp.log(z) - 0.5 / z - square * _polynomial(series, square)
        d = (y - _DIGAMMA_ROOT[0]) - _DIGAMMA_ROOT[1]
        near = xp.clip(d, -0.4, 0.4)
        out = xp.where(xp.abs(d) < 0.4, near * _polynomial(_DIGAMMA, near), out)
        part = x - xp.rint(x)
        out = xp.where(x < 0, out - math.pi / xp.tan(math.pi * part), out)
        out = xp.where((x < 0) & (part == 0), math.nan, out)
        return xp.where(x == 0, xp.copysign(math.inf, -x), out)

    @_wide
    def polygamma(self, x, n):
        """The n-th derivative of digamma: (-1)^(n+1) n! zeta(n + 1, x), Hurwitz's zeta by Euler's and Maclaurin's formula;
        relative error 1e-14 for x > 0; negative numbers by reflection, pi cot(pi x) = digamma(1 - x) - digamma(x)."""
        if n == 0:
            return self.digamma(x)
        xp, s, steps = self.xp, n + 1, n + 10
        y = xp.where(x < 0, 1 - x, x)
        total = 0.0
        for k in range(steps):
            total = total + (y + k) ** -float(s)
        z = y + steps
        power = z ** -float(s)
        total = total + z ** -float(n) / n + 0.5 * power
        factor, power = s / 2, power / z
        for k, b in enumerate(_BERNOULLI, 1):
            total = total + b * factor * power
            factor *= (s + 2 * k - 1) * (s + 2 * k) / ((2 * k + 1) * (2 * k + 2))
            power = power / (z * z)
        out = (-1) ** (n + 1) * float(math.factorial(n)) * total
        out = xp.where(x == math.inf, 0.0, out)
        cot = 1 / xp.tan(math.pi * (x - xp.rint(x)))
        p = [0.0, 1.0]  # the derivatives of cot are polynomials of it: cot' = -(1 + cot^2)
        for _ in range(n):
            slope = [k * c for k, c in enumerate(p)][1:]
            p = [-a - b for a, b in zip([*slope, 0.0, 0.0], [0.0, 0.0, *slope], strict=True)]
        mirrored = (-1) ** n * out - math.pi**s * _polynomial(p, cot)
        return xp.where(x < 0, mirrored, out)
