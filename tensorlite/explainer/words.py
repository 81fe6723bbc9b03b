"""The words of the explainer: one table, English and Chinese. Names in braces are filled in."""

TABLE = {
    "about": ("how backprop works, step by step", "反向传播，一步一步看"),
    "lessons": ("Lessons", "课程"),
    "forward": ("forward", "前向"),
    "backward": ("backward", "反向"),
    "result": ("result", "结果"),
    "value": ("value", "值"),
    "grad": ("grad", "梯度"),
    "input": ("input", "输入"),
    "constant": ("constant", "常量"),
    "node": ("node", "节点"),
    "shares": ("shares", "份额"),
    "seed": ("seed", "起点"),
    "next": ("Next", "下一步"),
    "back": ("Back", "上一步"),
    "first": ("First step", "回到开头"),
    "play": ("Play", "播放"),
    "pause": ("Pause", "暂停"),
    "theme": ("Light or dark", "浅色或深色"),
    "code": ("Your code", "代码"),
    "sofar": ("Gradients so far", "目前的梯度"),
    "all_steps": ("All steps as text (for screen readers and printing)", "全部步骤的文字版（供读屏与打印）"),
    "keys_next": ("next", "下一步"),
    "keys_back": ("back", "上一步"),
    "keys_play": ("play", "播放"),
    "offline": ("This one file works offline. All numbers come from a real run.", "这一个文件可离线使用。所有数字都来自真实的运算。"),
    "legend_value": ("computed forward, left to right", "前向计算，从左到右"),
    "legend_slope": ("of one operation", "（单个运算）"),
    "legend_grad": ("∂{out}/∂node, flows back, right to left", "∂{out}/∂节点，反向流动，从右到左"),
    "graph": ("The computation graph", "计算图"),
    "steps": ("Steps", "步骤"),
    "t_inputs": ("The inputs", "输入"),
    "t_compute": ("Compute {s} = {code}", "计算 {s} = {code}"),
    "t_seed": ("Start the walk back at {s}", "从 {s} 开始反向"),
    "t_share": ("{s} hands its share to {t}", "{s} 把份额交给 {t}"),
    "t_end": ("Done: check the gradients, then use them", "完成：检验梯度，然后使用它们"),
    "p_inputs": (
        "Everything starts from these numbers. The graph is drawn as it is computed, from left to right.",
        "一切从这些数开始。计算图从左到右，边算边画。",
    ),
    "p_compute": (
        "Forward: compute the value, and remember what the slopes will need.",
        "前向：算出数值，并记住求斜率时要用的量。",
    ),
    "p_seed": (
        "How much does {s} change when {s} changes? One to one: the gradient starts as 1.",
        "{s} 变化时 {s} 变化多少？一比一：梯度从 1 开始。",
    ),
    "p_end": (
        "Every gradient has arrived. Each one is a promise: nudge the input a little, and the result moves by grad × nudge.",
        "所有梯度都已到齐。每个梯度都是一个承诺：把输入轻推一点，结果就移动 梯度 × 推动量。",
    ),
    "upstream": ("upstream", "上游梯度"),
    "slope": ("local slope", "局部斜率"),
    "rule": ("local rule", "局部规则"),
    "share": ("share", "份额"),
    "for": ("for {t}", "给 {t}"),
    "shaped": ("share, shape {shape} like {t}", "份额，形状 {shape}，与 {t} 相同"),
    "same_shape": ("same shape as {s}", "形状与 {s} 相同"),
    "broadcast": (
        "{t} {was} was repeated to {now} (broadcast), so add up the repeats",
        "{t} {was} 被重复成 {now}（广播），所以把重复的部分加起来",
    ),
    "broadcast_rows": (
        "{t} was repeated for every row (broadcast), so add up the rows",
        "{t} 对每一行重复使用（广播），所以把各行加起来",
    ),
    "broadcast_columns": (
        "{t} was repeated for every column (broadcast), so add up the columns",
        "{t} 对每一列重复使用（广播），所以把各列加起来",
    ),
    "one_user": ("{t} has one user, so its gradient is complete.", "{t} 只被用了一次，梯度已完整。"),
    "waits": ("{n} of {m} shares: {t} must wait before it hands on.", "{m} 份中的第 {n} 份：{t} 还要等，不能往下传。"),
    "partial": ("{n} of {m} shares: {t} must wait for the rest.", "{m} 份中的第 {n} 份：{t} 还要等其余的份额。"),
    "complete": ("All {m} shares added: {t} is complete.", "{m} 份都已加上：{t} 完整了。"),
    "late": (
        "This share came too late: {t} had already handed on its gradient, and does not do it again.",
        "这一份来得太晚：{t} 早已把梯度传了下去，不会再传一次。",
    ),
    "hasty": (
        "{n} of {m} shares, but {t} does not wait: it hands on what it has.",
        "{m} 份中的第 {n} 份，但 {t} 不等了：手上有多少就传多少。",
    ),
    "spoiled": (
        "{t} has this share, but it is wrong: the gradient of {s} was not complete.",
        "{t} 得到了这一份，但它是错的：{s} 的梯度还不完整。",
    ),
    "badge": ("{n} of {m} in", "已到 {n}/{m}"),
    "t_complete": ("complete", "完整"),
    "t_waits": ("it must wait", "还要等"),
    "t_hasty": ("it must wait, but hands on at once", "本该等，却立刻传了下去"),
    "chain": ("The chain rule in one line", "一行链式法则"),
    "multiply": ("Multiply the local slopes along the path.", "把路径上的局部斜率相乘。"),
    "add_paths": ("Multiply along each path, then add the paths.", "沿每条路径相乘，再把各路径相加。"),
    "why": ("Why?", "为什么？"),
    "nudge": ("Nudge check", "轻推检验"),
    "predicted": ("predicted", "预测"),
    "measured": ("measured", "实测"),
    "change": (
        "Add 0.01 to one number and run forward again: how {out} should change (grad × 0.01), and how it does.",
        "给一个数加 0.01，再前向算一遍：{out} 应变化多少（梯度 × 0.01），实际变化多少。",
    ),
    "slope_at": ("slope at {x} is {k}", "在 {x} 处斜率为 {k}"),
    "whole": ("Whole graph", "整张图"),
    "use": ("Use them: one step of gradient descent", "使用梯度：一步梯度下降"),
    "use_text": (
        "every input: x −= {lr} × x.grad",
        "每个输入：x −= {lr} × x.grad",
    ),
    "before": ("before", "之前"),
    "after": ("after", "之后"),
    "unknown": ("not kept", "未保留"),
    "numbers": ("{n} numbers, {low} … {high}", "{n} 个数，{low} … {high}"),
    "right_order": ("Right order", "正确的顺序"),
    "wrong_order": ("Wrong order", "错误的顺序"),
    "wrong_end": (
        "Wrong numbers: a node that hands on before all its shares are in loses what comes later. Compare with the measured change.",
        "数字错了：节点在份额到齐之前就往下传，后来的部分就丢了。请与实测的变化比较。",
    ),
    "folded": (
        "{n} operations and inputs on {m} cards: a module is one card. Click on one to open it; expand= opens it from the start.",
        "{n} 个运算与输入画成 {m} 张卡片：一个模块一张卡片。点击卡片即可展开；expand= 让它一开始就展开。",
    ),
    "some_open": (
        "{n} of the {m} modules can be opened on this page: it is kept below 100 kB. For another, explain that module alone.",
        "{m} 个模块中有 {n} 个能在本页展开：页面控制在 100 kB 以内。要看其他模块，请单独对它调用 explain。",
    ),
    "cannot_open": (
        "There was no room for the inside of {s} on this page (100 kB at most). Explain that module alone to see it.",
        "本页（最多 100 kB）放不下 {s} 的内部。请单独对该模块调用 explain。",
    ),
    "open": ("Open {s}", "展开 {s}"),
    "close": ("Back to the whole", "回到整体"),
    "hover": ("Point at a cell of the share: its row and column light up.", "指向份额中的一格：对应的行与列会亮起。"),
    "curve": ("the curve of {op}, with its tangent", "{op} 的曲线与切线"),
    "no_js": ("The page needs JavaScript to move; all steps stand here as text.", "页面需要 JavaScript 才能动起来；这里是全部步骤的文字。"),
    "why_add": ("A sum passes the gradient on unchanged: its slope is 1.", "加法原样传递梯度：斜率是 1。"),
    "why_sub": (
        "A difference passes the gradient on, with a minus for what is taken away.",
        "减法传递梯度，被减去的一项带负号。",
    ),
    "why_mul": (
        "Turning {t} by ε turns {s} by {rule}·ε: the slope is the OTHER factor.",
        "{t} 变化 ε，{s} 就变化 {rule}·ε：斜率是另一个因子。",
    ),
    "why_div": ("A quotient: more above means more, more below means less.", "除法：分子变大则变大，分母变大则变小。"),
    "why_pow": ("The exponent comes down in front, and is one less.", "指数落到前面，再减一。"),
    "why_neg": ("Turning the sign turns the gradient too.", "取负也把梯度取负。"),
    "why_tanh": (
        "Tanh flattens out far from 0, so its slope 1 − {s}² shrinks towards 0 there.",
        "tanh 在远离 0 处变平，斜率 1 − {s}² 在那里趋于 0。",
    ),
    "why_sigmoid": (
        "The slope of the sigmoid is {s}(1 − {s}): at most 1/4, and nearly 0 far from 0.",
        "sigmoid 的斜率是 {s}(1 − {s})：最大 1/4，远离 0 处几乎为 0。",
    ),
    "why_relu": ("Where the input is positive it passes unchanged, elsewhere nothing passes.", "输入为正处原样通过，别处什么也不传。"),
    "why_exp": ("e^x is its own slope.", "e^x 的斜率就是它自己。"),
    "why_log": ("The larger the number, the less its logarithm moves: 1 / x.", "数越大，对数动得越少：1 / x。"),
    "why_sum": ("Every element adds straight into the sum, so each gets the same gradient.", "每个元素直接加进总和，所以得到相同的梯度。"),
    "why_mean": ("Every element counts 1/n, so each gets an equal part.", "每个元素占 1/n，所以各得一份相等的。"),
    "why_matmul": (
        "Each element of {t} met a row or column of the other factor: the same numbers weigh the way back.",
        "{t} 的每个元素都遇到另一个因子的一行或一列：回程用同样的数加权。",
    ),
    "why_softmax": (
        "Raising one score lowers the other probabilities: each gets p × (its upstream − the average of all).",
        "一个分数升高，其余概率就降低：每个得到 p ×（自己的上游 − 全体的平均）。",
    ),
    "why_cross_entropy": ("The slope of softmax and cross-entropy together is p − y.", "softmax 与交叉熵合起来的斜率是 p − y。"),
    "why_index": ("Only what was read gets a gradient; the rest gets 0.", "只有被读到的元素得到梯度，其余为 0。"),
    "why_view": ("The same numbers in another shape: the gradient goes back the same way.", "同样的数换个形状：梯度原路返回。"),
    "why_cat": ("Each part gets back the piece of the gradient that stands in its place.", "每一部分拿回对应位置的那一段梯度。"),
    "why_group": (
        "The chain rule ran through all operations of {s}; open it to see them.",
        "链式法则穿过了 {s} 中的所有运算；展开即可看到。",
    ),
    "why_other": (
        "The local rule of {op} turns the gradient of {s} into that of {t}: {rule}.",
        "{op} 的局部规则把 {s} 的梯度变成 {t} 的梯度：{rule}。",
    ),
    "why_function": ("The slope of the curve at this point: {rule}.", "曲线在该点的斜率：{rule}。"),
}  # fmt: skip

WHY = {
    "linear": "matmul", "square": "pow", "log_softmax": "other", "reshape": "view", "permute": "view", "expand": "sum",
    "embedding": "index", "take_along": "index", "pick": "index",
}  # fmt: skip


def table(lang: str) -> dict:
    """key -> text in one language."""
    place = ("en", "zh").index(lang)
    return {key: texts[place] for key, texts in TABLE.items()}


def broadcast_key(was, now) -> str:
    """Which sentence says how shape `was` was repeated to `now`."""
    if len(now) == 2 and was in ((now[1],), (1, now[1])):
        return "broadcast_rows"
    return "broadcast_columns" if len(now) == 2 and was == (now[0], 1) else "broadcast"


def why_key(variable, step) -> str:
    """Which sentence says why, for a share."""
    if variable.kind == "group":
        return "why_group"
    key = f"why_{WHY.get(variable.op, variable.op)}"
    if key in TABLE:
        return key
    return "why_function" if step.slope is not None and step.curve else "why_other"
