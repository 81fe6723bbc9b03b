"use strict";
// Draws the page from the data; every number and every place in it was computed by Python. No step is computed here.
const TOP = JSON.parse(document.getElementById("data").textContent), T = TOP.t;
let D = TOP, V = D.vars, A = D.arrays, inner = "";  // inner: the id of the module that is open
const $ = id => document.getElementById(id), NS = "http://www.w3.org/2000/svg";
const PAD = 10, ROW = 19, TITLE = 27, LABEL = 46;
let steps = D.steps, at = 0, timer = 0, wrong = false;

function el(tag, props, ...kids) {
  const e = document.createElement(tag);
  for (const k in props || {}) k === "class" ? e.className = props[k] : e.setAttribute(k, props[k]);
  e.append(...kids.filter(k => k !== null && k !== undefined));
  return e;
}
function sv(tag, props, text) {
  const e = document.createElementNS(NS, tag);
  for (const k in props) e.setAttribute(k, props[k]);
  if (text !== undefined) e.textContent = text;
  return e;
}
const say = (key, words) => T[key].replace(/\{(\w+)\}/g, (m, k) => words[k]);
function num(x, digits = 4) {  // significant digits, as Python's "%.4g"
  if (typeof x === "string" || x === null) return x === null ? "–" : x.replace("-", "−");
  if (x === 0) return "0";
  const size = Math.abs(x), e = size.toExponential(digits - 1).split("e"), power = +e[1];
  let s = power < -4 || power >= digits ? String(+e[0]) + "e" + (power < 0 ? "−" : "+") + String(Math.abs(power)).padStart(2, "0") : String(+size.toPrecision(digits));
  return (x < 0 ? "−" : "") + s;
}
const shape = s => "(" + s.join("×") + ")";
const scalar = a => a && a[1] && a[1].length === 1 && a[0].length === 0;
const same = a => a && a[1] && a[1].length && a[1].every(v => v === a[1][0]);
function brief(a, digits = 4) {
  if (!a) return "–";
  if (!a[1]) return shape(a[0]) + (a[2] ? " " + a[2].replace("-", "−") + " … " + a[3].replace("-", "−") : "");
  if (a[1].length === 1) return num(a[1][0], digits);
  return a[1].length <= 6 ? "[" + a[1].map(x => num(x, digits)).join(" ") + "]" : shape(a[0]);
}
function span(a) {  // a large tensor on a card
  const [low, high] = a[1] ? [Math.min(...a[1]), Math.max(...a[1])].map(x => num(x, 3)) : [a[2], a[3]].map(x => x.replace("-", "−"));
  return low + " … " + high;
}
function matrix(a, onpoint) {
  if (!a[1] || !a[0].length || a[0][a[0].length - 1] > 8 || a[1].length > 64) return el("span", {class: "num"}, brief(a));
  const n = a[0][a[0].length - 1], wide = n > 4, m = el("div", {class: "mx" + (wide ? " small" : ""), style: `grid-template-columns:repeat(${n},auto)`});
  a[1].forEach((v, k) => {
    const c = el("span", {}, el("i", {}, num(v, wide ? 3 : 4)));
    if (onpoint) c.onmouseenter = c.onclick = () => onpoint(Math.floor(k / n), k % n);
    m.append(c);
  });
  return m;
}
const number = a => !a ? el("span", {class: "num"}, "–") : same(a) && a[0].length && a[1].length > 1 ? matrix(a) : a[1] && a[1].length === 1 ? el("span", {class: "num"}, num(a[1][0])) : matrix(a);

// ------------------------------------------------------------ the graph
let svg, cards, lines;
function part(id) {  // what equal modules have in common stands once
  const p = {...TOP.inside[id]};
  for (const k of ["vars", "edges", "steps", "code"]) p[k] = TOP.shared[p[k]];
  return p;
}
function load(id, w, n) {  // the whole graph, or the module of that id
  inner = TOP.inside[id] ? id : "";
  D = inner ? part(id) : TOP;
  V = D.vars;
  A = D.arrays;
  steps = D.steps;
  svg = sv("svg", {viewBox: `0 0 ${D.w} ${D.h}`, width: D.w, height: D.h, role: "img", "aria-label": V.map(v => v[0] + (v[2] ? " = " + v[2] : "")).join("; ")});
  cards = [];
  lines = [];
  D.edges.forEach(([s, t, text, points, pill]) => {
    let d = `M${points[0]}`;
    for (let i = 1; i < points.length; i++) {
      const [x0, y0] = points[i - 1], [x1, y1] = points[i], m = (x0 + x1) / 2;
      d += i % 2 ? `C${m} ${y0} ${m} ${y1} ${i === points.length - 1 ? x1 - 7 : x1} ${y1}` : `L${x1} ${y1}`;
    }
    const [ex, ey] = points[points.length - 1], [sx, sy] = points[0];
    const path = sv("path", {d, class: "edge"}), flow = sv("path", {d, class: "flow", visibility: "hidden"});
    const head = sv("path", {d: `M${ex} ${ey}l-10 -4.5v9z`, class: "head"}), tip = sv("path", {d: `M${sx} ${sy}l14 -7v14z`, class: "tip"});
    const chip = sv("g", {class: "chip"});
    if (text) {
      const w = text.length * 7.2 + 12;
      chip.append(sv("rect", {x: pill[0] - w / 2, y: pill[1] - 10, width: w, height: 20, rx: 10}), sv("text", {x: pill[0], y: pill[1] + 4, "text-anchor": "middle"}, text));
    }
    svg.append(path, flow, head, tip);
    lines.push({s, t, path, flow, head, tip, chip, constant: V[s][1] === "constant"});
  });
  lines.forEach(l => svg.append(l.chip));
  const counted = {};
  lines.forEach(l => { if (!l.constant) { const k = l.s + ">" + l.t; l.n = counted[k] = (counted[k] ?? -1) + 1; } });
  V.forEach((v, i) => {
    const [name, kind, code, size, value, uses, line, [x, y, w, h], grid, full] = v;
    const g = sv("g", {class: "node " + kind, transform: `translate(${x},${y})`});
    if (!inner && TOP.inside[i]) g.onclick = () => { stop(); load(String(i), false, 0); };
    g.append(sv("title", {}, name + (full ? " = " + full : "") + " " + shape(size)), sv("rect", {class: "c", width: w, height: h, rx: 11}));
    if (kind === "input") g.append(sv("rect", {class: "bar1", x: 0, y: 12, width: 4, height: h - 24, rx: 2}));
    g.append(sv("text", {x: PAD + 1, y: 20, class: "nm"}, name));
    const kindText = kind === "input" || kind === "constant" ? T[kind] + (size.length ? " " + shape(size) : "") : code;
    g.append(sv("text", {x: w - PAD, y: 19, class: "ex", "text-anchor": "end"}, kindText));
    const rows = [["value", "v"]].concat(uses || i === steps.find(s => s[0] === 2)[1] ? [["grad", "g"]] : []);
    const card = {g, badge: null, shown: {}};
    rows.forEach(([key, c], r) => {
      const beside = grid && grid[3], block = grid ? grid[1] * (grid[2] + 2) : 0;
      const high = grid ? grid[0] * ROW + 6 : ROW + 1, top = TITLE + (beside ? 0 : r * high);
      const end = w - PAD - (beside && !r ? block + LABEL + PAD : 0);  // where the numbers end
      g.append(sv("text", {x: beside ? end - block - LABEL + 1 : PAD + 1, y: top + (grid ? grid[0] * ROW / 2 + 4 : 14), class: "lb"}, T[key]));
      const place = sv("g", {});
      g.append(place);
      card.shown[key] = a => {
        place.replaceChildren();
        if (!grid || !a || !a[1]) {
          place.append(sv("text", {x: end, y: top + (grid ? grid[0] * ROW / 2 + 4 : 14), class: c + c, "text-anchor": "end"}, a && a[0].length && (!a[1] || a[1].length > 1) ? span(a) : brief(a)));
          return;
        }
        const big = Math.max(...a[1].map(n => typeof n === "number" ? Math.abs(n) : 0)) || 1, [, cols, cw] = grid;
        a[1].forEach((n, k) => {
          const cx = end - (cols - k % cols) * (cw + 2) + 2, cy = top + Math.floor(k / cols) * ROW;
          place.append(sv("rect", {x: cx, y: cy, width: cw, height: ROW - 2, rx: 4, class: "c" + c, "fill-opacity": (0.05 + 0.31 * Math.abs(typeof n === "number" ? n : 0) / big).toFixed(2)}),
            sv("text", {x: cx + cw - 4, y: cy + 13, class: "cell", "text-anchor": "end"}, num(n, 3)));
        });
      };
    });
    if (uses > 1) {
      const b = sv("g", {class: "badge", visibility: "hidden"}), t = sv("text", {x: w / 2, y: -4, "text-anchor": "middle"});
      b.append(sv("rect", {x: w / 2 - 48, y: -19, width: 96, height: 21, rx: 10.5}), t);
      g.append(b);
      card.badge = (n) => { b.setAttribute("visibility", n ? "visible" : "hidden"); t.textContent = "▲ " + say("badge", {n, m: uses}); };
    }
    cards.push(card);
    svg.append(g);
  });
  $("scroll").replaceChildren(svg);
  size(false);
  $("code").replaceChildren(...D.code.map(c => el("div", {}, c)));
  $("lg").textContent = D.lg;
  tabs();
  order(w, n);
}

let fitted = false;
function size(whole) {  // texts stay readable: what does not fit is scrolled, or (whole) made smaller for an overview
  const sc = $("scroll"), b = $("fit");
  svg.style.cssText = `width:max(${Math.round(D.w * .9)}px,min(100%,${Math.round(D.w * 1.3)}px));height:auto`;
  fitted = whole && !b.hidden;
  b.hidden = sc.scrollWidth <= sc.clientWidth + 1 && sc.scrollHeight <= sc.clientHeight + 1;
  if (fitted) svg.style.cssText = `width:100%;height:auto;max-height:${sc.clientHeight}px`;
  b.setAttribute("aria-pressed", String(fitted));
}
// ------------------------------------------------------------ one step
function state(n) {
  const seen = new Set(), grads = {}, count = {}, done = new Set(), nth = {};
  V.forEach((v, i) => { if (v[1] === "input" || v[1] === "constant") seen.add(i); });
  for (let k = 0; k <= n; k++) {
    const s = steps[k];
    if (s[0] === 1) seen.add(s[1]);
    if (s[0] === 2) grads[s[1]] = A[s[2]];
    if (s[0] === 3) {
      const key = s[2] + ">" + s[1];
      nth[key] = (nth[key] ?? -1) + 1;
      done.add(key + ">" + nth[key]);
      grads[s[2]] = A[s[9]];
      count[s[2]] = s[11];
    }
  }
  return {seen, grads, count, done, nth};
}
function show(n) {
  at = Math.max(0, Math.min(steps.length - 1, n));
  const s = steps[at], st = state(at), kind = s[0];
  cards.forEach((card, i) => {
    const on = kind === 0 && V[i][1] === "input" || kind === 1 && s[1] === i ? "af" : kind === 1 && lines.some(l => l.t === s[1] && l.s === i) ? "sf"
      : kind === 2 && s[1] === i || kind === 3 && s[2] === i ? "ab" : kind === 3 && s[1] === i ? "sb" : "";
    card.g.setAttribute("class", `node ${V[i][1]} ${on} ${st.seen.has(i) ? "" : "wait"}`);
    card.shown.value(st.seen.has(i) ? A[V[i][4]] : null);
    if (card.shown.grad) card.shown.grad(st.grads[i]);
    if (card.badge) card.badge(st.count[i] || 0);
  });
  lines.forEach(l => {
    const key = l.s + ">" + l.t, now = kind === 3 && s[1] === l.t && s[2] === l.s && (st.nth[key] === l.n || V[l.t][1] === "group");
    const c = kind === 1 && s[1] === l.t ? "af" : now ? "ab" : st.done.has(key + ">" + l.n) ? "done" : "";
    l.path.setAttribute("class", `edge ${c} ${l.constant ? "c" : ""}`);
    l.head.setAttribute("class", "head " + c);
    l.tip.setAttribute("class", "tip " + c);
    l.flow.setAttribute("visibility", now ? "visible" : "hidden");
    l.chip.setAttribute("class", "chip" + (now ? " on" : ""));
  });
  const first = V.findIndex(v => v[1] === "input");
  const focus = kind === 3 ? [s[2], s[1]] : kind === 1 || kind === 2 ? [s[1]] : kind === 0 && first >= 0 ? [first] : [];
  const sc = $("scroll");
  if (focus.length && (sc.scrollWidth > sc.clientWidth || sc.scrollHeight > sc.clientHeight)) {
    const xs = focus.flatMap(i => [V[i][7][0], V[i][7][0] + V[i][7][2]]), ys = focus.flatMap(i => [V[i][7][1], V[i][7][1] + V[i][7][3]]);
    const zoom = svg.clientWidth / D.w || 1, far = (Math.max(...xs) - Math.min(...xs)) * zoom > sc.clientWidth;
    sc.scrollTo({left: far ? Math.min(...xs) * zoom - 20 : (Math.min(...xs) + Math.max(...xs)) * zoom / 2 - sc.clientWidth / 2, top: (Math.min(...ys) + Math.max(...ys)) * zoom / 2 - sc.clientHeight / 2});
  }
  side(s, st);
  code(s);
  table(s, st);
  [...$("tl").children].forEach((b, i) => { b.classList.toggle("on", i <= at); b.classList.toggle("cur", i === at); });
  $("count").textContent = `${at + 1}/${steps.length}`;
  try { history.replaceState(null, "", `#${wrong ? 1 : 0}.${at + 1}${inner && "." + inner}`); } catch { /* in a notebook there is no address */ }
}
function tile(cls, head, sym, body) {
  return el("div", {class: "k " + cls}, el("small", {}, head), sym ? el("span", {class: "sym mono"}, sym) : null, body);
}
function side(s, st) {
  const box = $("side"), kind = s[0], out = [];
  const name = i => V[i][0], phase = kind < 2 ? ["f", "forward"] : kind === 4 ? ["e", "result"] : ["b", "backward"];
  out.push(el("span", {class: "ph " + phase[0]}, T[phase[1]]));
  const title = kind === 0 ? T.t_inputs : kind === 1 ? say("t_compute", {s: name(s[1]), code: V[s[1]][9]}) : kind === 2 ? say("t_seed", {s: name(s[1])})
    : kind === 3 ? say("t_share", {s: name(s[1]), t: name(s[2])}) : wrong ? T.wrong_order : T.t_end;
  out.push(el("p", {class: "t"}, title));
  if (kind === 0) {
    out.push(el("p", {class: "p"}, T.p_inputs));
    if (D.note) out.push(el("p", {class: "p"}, D.note));
  }
  if (kind === 1) out.push(tile("vl", T.value, name(s[1]), number(A[V[s[1]][4]])), el("p", {class: "p"}, T.p_compute));
  if (kind === 2) out.push(tile("up ct", T.grad, `∂${D.out}/∂${name(s[1])}`, number(A[s[2]])), el("p", {class: "p"}, say("p_seed", {s: name(s[1])})));
  if (kind === 3) share(s, out, name, st);
  if (kind === 4) end(out);
  const whole = kind === 1 || kind === 3 ? s[1] : -1;
  if (!inner && whole >= 0 && V[whole][1] === "group" && !TOP.inside[whole] && TOP.shut.includes(whole)) out.push(el("p", {class: "p sm"}, say("cannot_open", {s: name(whole)})));
  if (!inner && TOP.inside[whole]) {
    const b = el("button", {id: "open"}, say("open", {s: name(whole)}));
    b.onclick = () => { stop(); load(String(whole), false, kind === 1 ? 0 : part(whole).steps.findIndex(q => q[0] === 2)); $("close").focus(); };
    out.push(b);
  }
  box.replaceChildren(...out);
}
function repeated(was, now) {  // as words.broadcast_key
  if (now.length === 2 && was.length < 3 && was[was.length - 1] === now[1] && (was.length === 1 || was[0] === 1)) return "broadcast_rows";
  return now.length === 2 && was.length === 2 && was[0] === now[0] && was[1] === 1 ? "broadcast_columns" : "broadcast";
}
function share(s, out, name, st) {
  const [, source, target, , up, slope, full, part, before, after, ruleAt, n, m, whyAt, paths, curve, late, factor] = s;
  const rule = TOP.strings[ruleAt], why = TOP.strings[whyAt];
  const U = A[up], S = A[slope], F = A[full] || A[part], P = A[part], t = name(target);
  const flat = [U, S, F].every(a => a && a[1] && a[1].length === 1) && rule.length < 15;
  const eq = el("div", {class: "eq" + (flat ? "" : " st")});
  const uptile = tile("up", T.upstream, `∂${D.out}/∂${name(source)}`, number(U));
  const text = `∂${name(source)}/∂${t} = ${rule}`;
  let share = tile("ct", T.share, A[full] ? say("same_shape", {s: name(source)}) : say("for", {t}), number(F));
  if (factor) {
    const [lp, ltext, rp, rtext, gleft] = factor, L = A[lp], R = A[rp], left = matrix(L), right = matrix(R);
    const light = (i, j) => {
      [...left.children].forEach((e, k) => e.classList.toggle("hit", Math.floor(k / L[0][1]) === i));
      [...right.children].forEach((e, k) => e.classList.toggle("hit", k % R[0][1] === j));
    };
    const one = (g, text, a, m) => tile(g ? "up" : "lo", g ? T.upstream : T.rule, `${text}${g && text === "G" ? ` = ∂${D.out}/∂${name(source)}` : ""} ${shape(a[0])}`, m);
    share = tile("ct", T.share, `${rule} ${shape(P[0])}`, matrix(P, light));
    eq.append(one(gleft, ltext, L, left), el("div", {class: "o"}, "@"), one(!gleft, rtext, R, right), el("div", {class: "o"}, "="), share);
    out.push(eq, el("p", {class: "p sm"}, T.hover));
  } else {
    const lo = S ? tile("lo", T.slope, same(S) && rule === num(S[1][0]) ? `∂${name(source)}/∂${t}` : text, same(S) ? el("span", {class: "num"}, num(S[1][0])) : number(S)) : tile("lo", T.rule, rule || "⋯", null);
    eq.append(uptile, el("div", {class: "o"}, S ? "×" : "→"), lo, el("div", {class: "o"}, "="), share);
    out.push(eq);
  }
  if (A[full]) {
    out.push(el("p", {class: "p sm"}, "↓ " + say(repeated(P[0], A[full][0]), {t, was: shape(P[0]), now: shape(A[full][0])})), tile("ct", say("shaped", {t, shape: shape(P[0])}), null, number(P)));
  }
  if (curve >= 0) out.push(draw(D.curves[curve], A[V[target][4]], A[V[source][4]], S, V[source][2], t));
  out.push(el("p", {class: "p"}, el("b", {}, T.why + " "), why));
  const acc = el("div", {class: "acc" + (n < m || late ? " wait" : "")});
  const zero = A[before] ? brief(A[before]) : "0";
  if (P && P[1] && P[1].length <= 4) acc.append(el("div", {class: "num"}, `${t}.grad = ${zero} + `, el("b", {}, brief(P)), " = ", el("b", {}, brief(A[after]))));
  else {
    acc.append(el("div", {class: "num"}, `${t}.grad += ${T.share}`));
    if (A[before]) acc.append(matrix(A[after]));
  }
  acc.append(el("div", {class: "p"}, late === 2 ? say("late", {t}) : late === 1 ? say("hasty", {t, n, m}) : wrong && (st.count[source] ?? 1) < (V[source][5] || 1) ? say("spoiled", {t, s: name(source)}) : m <= 1 ? say("one_user", {t}) : n < m ? say(V[target][1] === "input" ? "partial" : "waits", {t, n, m}) : say("complete", {t, m})));
  out.push(acc);
  if (paths.length && !wrong) {
    const box = el("div", {}, el("h2", {}, T.chain));
    const all = steps.slice(0, at).filter(q => q[0] === 3 && q[2] === target).flatMap(q => q[14]).concat(paths);  // of the shares before, too
    const told = all.length <= 4 && n === all.length ? all : paths;
    told.forEach(([ids, slopes, product]) => box.append(el("div", {class: "mono sm p"}, ids.map(name).join(" → ")),
      el("div", {class: "mono sm", style: "padding-left:1em"}, el("span", {class: "s"}, slopes.map(x => num(x)).join(" × ")), " = ", el("b", {class: "g"}, num(product)))));
    if (told.length > 1 && told === all) box.append(el("div", {class: "mono sm"}, told.map(q => num(q[2])).join(" + ").replaceAll("+ −", "− ") + " = ", el("b", {class: "g"}, brief(A[after]))));
    box.append(el("p", {class: "p sm"}, paths.length > 1 || m > 1 ? T.add_paths : T.multiply));
    out.push(box);
  }
}
function draw([x0, x1, ys], X, Y, S, label, of) {
  const good = ys.filter(y => y !== null), w = 340, h = 150, p = 12;
  let lo = Math.min(...good), hi = Math.max(...good);
  const px = X && X[1] || [], py = Y && Y[1] || [];
  if (py.length) { const mid = Math.max(...py.map(Math.abs)) * 3 + 1; lo = Math.max(lo, -mid); hi = Math.min(hi, mid); }
  const gap = (hi - lo || 1) * .08;
  lo -= gap; hi += gap;
  const fx = x => p + (w - 2 * p) * (x - x0) / (x1 - x0), fy = y => h - p - (h - 2 * p) * (y - lo) / (hi - lo);
  const g = sv("svg", {viewBox: `0 0 ${w} ${h}`, class: "curve", role: "img", "aria-label": say("curve", {op: label})});
  if (lo < 0 && hi > 0) g.append(sv("path", {class: "ax", d: `M${p} ${fy(0)}H${w - p}`}));
  if (x0 < 0 && x1 > 0) g.append(sv("path", {class: "ax", d: `M${fx(0)} ${p}V${h - p}`}));
  let d = "", pen = false;
  ys.forEach((y, i) => {
    if (y === null || y < lo || y > hi) { pen = false; return; }
    d += `${pen ? "L" : "M"}${fx(x0 + (x1 - x0) * i / (ys.length - 1)).toFixed(1)} ${fy(y).toFixed(1)}`;
    pen = true;
  });
  g.append(sv("path", {class: "fn", d}));
  const long = px.length === 1 ? .22 : .09, slopes = S && S[1] || [];
  px.forEach((x, i) => {
    const y = py[i], k = slopes[i];
    if (typeof x !== "number" || typeof y !== "number") return;
    if (typeof k === "number") {
      const sx = (w - 2 * p) / (x1 - x0), sy = (h - 2 * p) / (hi - lo), r = long * w / Math.hypot(sx, k * sy);
      g.append(sv("path", {class: "tg", d: `M${fx(x - r)} ${fy(y - k * r)}L${fx(x + r)} ${fy(y + k * r)}`}));
    }
    g.append(sv("circle", {class: "pt", cx: fx(x), cy: fy(y), r: px.length === 1 ? 5 : 3.5}));
  });
  const one = px.length === 1 && typeof slopes[0] === "number";
  const places = [[p, p + 6, "start"], [w - p, h - p, "end"], [p, h - p, "start"], [w - p, p + 6, "end"]];
  const words = [[label, "", label.length * 7.4], ...one ? [[say("slope_at", {x: `${of} = ${num(px[0])}`, k: num(slopes[0])}), "sl", 0]] : []];
  const free = ([x, y, side], long) => {  // no point of the curve below the words
    const left = side === "end" ? x - long : x, near = (X, Y) => X > left - 8 && X < left + long + 8 && Y > y - 18 && Y < y + 9;
    return !ys.some((v, i) => v !== null && near(fx(x0 + (x1 - x0) * i / (ys.length - 1)), fy(v))) && !px.some((v, i) => near(fx(v), fy(py[i])));
  };
  words.forEach(([said, cls, long]) => {
    if (cls) long = said.length * 7.4;
    const k = Math.max(0, places.findIndex(q => free(q, long))), [[x, y, side]] = places.splice(k, 1);
    g.append(sv("text", {x, y, "text-anchor": side, class: cls}, said));
  });
  return g;
}
function rows(head, body) {
  return el("table", {}, el("thead", {}, el("tr", {}, ...head.map(h => el("th", {}, h)))), el("tbody", {}, ...body));
}
function end(out) {
  out.push(el("p", {class: "p"}, wrong ? T.wrong_end : T.p_end));
  if (D.nudges.length) {
    out.push(el("h2", {}, T.nudge), el("p", {class: "p sm"}, say("change", {out: D.out})));
    const last = state(at).grads;
    out.push(el("div", {class: "wide"}, rows([T.input, T.grad, T.predicted, T.measured], D.nudges.map(([n, place, g, p, m]) => {
      const i = V.findIndex(v => v[0] === n), shown = wrong && last[i] && !place.length ? last[i][1][0] : g;
      return el("tr", wrong && shown !== g ? {class: "on"} : {}, el("td", {class: "mono"}, n + (place.length ? `[${place}]` : "")), el("td", {class: "mono g"}, num(shown)), el("td", {class: "mono"}, num(wrong ? shown * .01 : p)), el("td", {class: "mono"}, num(m)));
    }))));
  }
  if (D.descent && !wrong) {
    const [lr, b, a] = D.descent;
    out.push(el("h2", {}, T.use), el("p", {class: "p mono sm"}, say("use_text", {lr: num(lr)})),
      el("div", {class: "eq"}, tile("vl", T.before, D.out, el("span", {class: "num"}, num(b))), el("div", {class: "o"}, "→"), tile("lo", T.after, D.out, el("span", {class: "num"}, num(a)))));
  }
}
function code(s) {
  const line = s[0] === 1 ? V[s[1]][6] : s[0] >= 2 ? D.ask : -1;
  const rule = s[0] === 3 ? V[s[1]][6] : -1;  // the line whose rule is at work
  [...$("code").children].forEach((e, i) => e.className = i === rule && i !== line ? "src" : i === line || s[0] === 0 && V.some(v => v[6] === i && v[1] === "input") ? "on" + (s[0] >= 2 ? " bk" : "") : "");
}
function cell(a, room, long) {  // in the table: the numbers where there is room for them
  const few = a && a[1] && a[1].length > 1 && a[1].length <= 6, text = brief(a, few ? 3 : 4);
  return a && a[0].length && (!a[1] || a[1].length > 1) && (!few || text.length > room) ? long(a) : text;
}
function table(s, st) {
  const from = steps.find(q => q[0] === 2)[1], room = $("table").clientWidth < 420 ? 12 : 22;
  const body = V.map((v, i) => [v, i]).reverse().filter(([v, i]) => v[5] || i === from).map(([v, i]) =>
    el("tr", s[0] === 3 && s[2] === i || s[0] === 4 && v[1] === "input" ? {class: "on"} : {}, el("td", {class: "mono"}, v[0]), el("td", {class: "mono v"}, st.seen.has(i) ? cell(A[v[4]], room, a => shape(a[0])) : "–"),
      el("td", {class: "mono g"}, cell(st.grads[i], room, span)), el("td", {class: "mono"}, i === from ? T.seed : `${st.count[i] || 0}/${v[5]}`)));
  $("table").replaceChildren(rows([T.node, T.value, T.grad, T.shares], body));
}

// ------------------------------------------------------------ controls
function stop() { clearInterval(timer); timer = 0; $("bp").textContent = T.play; }
function play() {
  if (timer) return stop();
  if (at === steps.length - 1) show(0);
  $("bp").textContent = T.pause;
  timer = setInterval(() => at < steps.length - 1 ? show(at + 1) : stop(), 1500);
}
function bars() {
  $("tl").replaceChildren(...steps.map((s, i) => {
    const b = el("b", {class: s[0] < 2 ? "f" : s[0] === 4 ? "e" : "b", title: String(i + 1)});
    b.onclick = () => { stop(); show(i); };
    return b;
  }));
}
function order(w, n) {
  wrong = w && D.wrong.length > 0;
  steps = wrong ? D.wrong : D.steps;
  if (D.wrong.length) ["right_order", "wrong_order"].forEach((id, i) => $(id).setAttribute("aria-pressed", String(wrong === !!i)));
  bars();
  show(n);
}
function tabs() {
  $("tabs").replaceChildren();
  if (inner) {
    const b = el("button", {id: "close"}, T.close);
    b.onclick = () => { stop(); load("", false, TOP.steps.findIndex(s => s[0] === 3 && s[1] === +inner)); $("open")?.focus(); };
    $("tabs").append(b);
  }
  if (D.wrong.length) [["right_order", false], ["wrong_order", true]].forEach(([key, w]) => {
    const b = el("button", {id: key}, T[key]);
    b.onclick = () => { stop(); order(w, w === wrong ? at : steps.findIndex(s => s[0] === 2)); };
    $("tabs").append(b);
  });
}
$("b0").onclick = () => { stop(); show(0); };
$("b1").onclick = () => { stop(); show(at - 1); };
$("b2").onclick = () => { stop(); show(at + 1); };
$("bp").onclick = play;
$("fit").onclick = () => { size(!fitted); show(at); };
addEventListener("resize", () => size(fitted));
$("theme").onclick = () => {
  const r = document.documentElement, dark = r.dataset.theme ? r.dataset.theme === "dark" : matchMedia("(prefers-color-scheme:dark)").matches;
  r.dataset.theme = dark ? "light" : "dark";
};
addEventListener("keydown", e => {
  if (e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName || "")) return;
  const go = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: steps.length - 1}[e.key];
  if (go !== undefined) { stop(); show(go); e.preventDefault(); }
  else if (e.key === " " && !/^(BUTTON|SUMMARY)$/.test(e.target.tagName || "")) { play(); e.preventDefault(); }
});
function fromAddress() {
  const m = /^#(\d)\.(\d+)(?:\.(\d+))?$/.exec(location.hash);
  if (m) load(m[3] || "", m[1] === "1", +m[2] - 1); else load("", false, 0);
}
addEventListener("hashchange", fromAddress);
$("text").open = false;
fromAddress();
