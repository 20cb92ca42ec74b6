"""The table: ratios first, then what they come from."""

import os
import platform
import statistics

SCALE_LIMIT = 1.25
MEMORY_LIMIT = 1.1
FULL = 0.95  # of what the generator can do: then it is what was measured


def median(rows, key):
    return statistics.median(r[key] for r in rows)


def number(x):
    return f"{x:,.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def line(name, figure, row):
    text = f"{name:18} {number(row['rate']):>8} {figure.unit:4}"
    if "cpu" in row:
        text += (f" {number(row['cpu']):>8} us, {row['seconds']:.0f} s,"
                 f" generator {row['generator']:.0%}")
    text += f", peak {row['peak'] / 1024:.0f} MiB"
    if "store" in row:
        text += (f", a worker {number(row['worker'])} us,"
                 f" {row['worker-peak'] / 1024:.0f} MiB,"
                 f" Dovecot {number(row['store'])} us")
    if "share" in row:
        text += f", {row['share']:.2f} of the rate otherwise"
    if "taken" in row:
        text += f", taken at {number(row['taken'])}/s"
    return text


def place(syncs):
    """What had been synced when 250 was said."""
    return (f"{len(syncs)} synced: " + "; ".join(syncs) if syncs
            else "nothing synced")


def machine():
    with open("/proc/cpuinfo") as f:
        models = [x.split(":")[1].strip() for x in f if "model name" in x]
    model = models[0] if models else platform.machine()
    return (f"{len(os.sched_getaffinity(0))} processors ({model}), "
            f"Linux {platform.release()}")


def ratios(b, figure, a, c, key="rate"):
    """Of a to c, round by round."""
    pairs = zip(b.rows.get((figure, a), []), b.rows.get((figure, c), []))
    return sorted(x[key] / y[key] for x, y in pairs if y[key])


def spread(values):
    if not values:
        return "-"
    return (f"{number(statistics.median(values))} ({number(values[0])} to "
            f"{number(values[-1])})")


HEAD = ("  {:42} {:>8}   lowest to highest    CPU us  peak MiB"
        "  to Postfix  to the bound")


def table_row(b, key, name, label):
    rows = b.rows[key, name]
    rates = [r["rate"] for r in rows]
    cpu = number(median(rows, "cpu")) if "cpu" in rows[0] else "-"
    full = max(r.get("generator", 0) for r in rows) >= FULL
    to = [ratios(b, key, name, other) for other in ("Postfix", "canned")]
    to = [number(statistics.median(x)) if x else "-" for x in to]
    return (f"  {label:42} {number(statistics.median(rates)):>8}  "
            f"{number(min(rates)):>8} to {number(max(rates)):<8}{cpu:>7}  "
            f"{number(max(r['peak'] for r in rows) / 1024):>8}  "
            f"{to[0]:>10}  {to[1]:>12}{'  generator full' * full}")


def figure_table(b, figure):
    """One figure, all servers."""
    return "\n".join([HEAD.format(figure.title, figure.unit)] + [
        table_row(b, key, name, name) for key, name in b.rows
        if key == figure.key])


def own_table(b, figures):
    """The figures of smtpd alone."""
    return "\n".join([HEAD.format("smtpd alone", "")] + [
        table_row(b, f.key, "smtpd", f"{f.title}, {f.unit}")
        for f in figures if (f.key, "smtpd") in b.rows])


def goals(b):
    """The lines of the goal: what, its target, its figures, whether more is
    better."""
    for key, theirs, bound in (("one", 7, 0.75), ("many", 12, 0.45)):
        yield (f"{key} per connection, rate to Postfix", theirs,
               ratios(b, key, "smtpd", "Postfix"), True)
        yield (f"{key} per connection, rate to the bound", bound,
               ratios(b, key, "smtpd", "canned"), True)
        yield (f"{key} per connection, CPU of Postfix to ours", 14,
               ratios(b, key, "Postfix", "smtpd", "cpu"), True)
    yield ("10 MiB, MB/s to Postfix", 2,
           ratios(b, "large", "smtpd", "Postfix"), True)
    yield ("peak memory at 40 MiB to that at 1 MiB", MEMORY_LIMIT,
           across(b, "memory-40", "memory-1", "peak"), False)
    yield ("connect, EHLO, QUIT, rate to the bound", 0.9,
           ratios(b, "hello", "smtpd", "canned"), True)
    for n in (200, 1000, 5000):
        yield (f"CPU at {n:,} sessions to that at 20", SCALE_LIMIT,
               across(b, f"scale-{n}", "scale-20", "cpu"), False)
    yield ("CPU at 1 session to that at 20", 3,
           across(b, "scale-1", "scale-20", "cpu"), False)
    yield ("to Dovecot, rate to Postfix", 2,
           ratios(b, "lmtp", "smtpd", "Postfix"), True)
    yield ("to Dovecot, CPU of Postfix to ours", 8,
           ratios(b, "lmtp", "Postfix", "smtpd", "cpu"), True)
    yield ("to Dovecot, a worker's CPU, us", 120, own(b, "lmtp", "worker"),
           False)
    yield ("to Dovecot, 10 MiB, MB/s to Postfix", 1.5,
           ratios(b, "lmtp-large", "smtpd", "Postfix"), True)
    yield ("to Dovecot, 10 MiB, a worker's peak, KiB", 40 << 10,
           own(b, "lmtp-large", "worker-peak"), False)
    yield ("1 % unknown users, rate to that without", 0.95,
           own(b, "lmtp-unknown", "share"), True)
    yield ("held, then sent, rate to that at once", 0.8,
           own(b, "lmtp-held", "share"), True)
    yield ("taken to be held, /s", 500, own(b, "lmtp-held", "taken"), True)


def own(b, figure, key):
    """Of smtpd alone."""
    return sorted(r[key] for r in b.rows.get((figure, "smtpd"), []))


def across(b, one, other, key):
    """Of smtpd with itself in two figures."""
    pairs = zip(b.rows.get((one, "smtpd"), []), b.rows.get(
        (other, "smtpd"), []))
    return sorted(x[key] / y[key] for x, y in pairs)


def goal_table(b):
    out = ["  target      figure (lowest to highest)   met"]
    for what, target, values, more in goals(b):
        met = "-"
        if values:
            got = statistics.median(values)
            met = "yes" if (got >= target if more else got <= target) \
                else "no"
        sign = ">=" if more else "<="
        out.append(f"  {sign} {target:<7} {spread(values):28}  {met:4} "
                   f"{what}")
    return "\n".join(out)


def table(b, wanted, rounds, seconds):
    parts = [f"{rounds} rounds in turns, runs of {seconds} s; ratios are "
             "medians of those of each round; CPU is for each message, "
             "greeting or handshake", goal_table(b)]
    parts += [figure_table(b, f) for f in wanted if not f.only]
    alone = [f for f in wanted if f.only]
    if alone:
        parts.append(own_table(b, alone))
    if b.where:
        parts.append("where a message was when the server said 250\n"
                     + "\n".join(f"  {name:18} {place(x)}"
                                 for name, x in b.where.items()))
    if b.left:
        parts.append("left out\n" + "\n".join(
            f"  {name}, {key}: {why}" for (name, key), why in b.left.items()))
    short = [f"{key}, {name}" for (key, name), rows in b.rows.items()
             if key in ("one", "many", "large")
             and median(rows, "seconds") < seconds * 0.95]
    if short:
        parts.append("shorter than asked for: " + "; ".join(short))
    return "\n\n".join(parts)
