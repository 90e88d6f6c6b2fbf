"""Seeded damage: of bytes, and of gin text in the ways in which people and disks do it."""

import random
import re

# What somebody, or something, may have put where a value stood.
VALUES = (
    *("-1", "0", "-1.5", "1e999", "nan", "3" * 30, "-" + "9" * 20, "2147483648", "1e-300", "None"),
    *("True", "''", "'x'", "'\\x00'", "()", "[]", "{}", "(1, (2, (3,)))", "[None]", "{'a': 1}"),
    *("@VAE", "@VAE()", "@Adam", "@Adam()", "@mlp_encoder", "@mlp_encoder()", "@BetaVAE()"),
    *("%nothing", "@a/b/VAE", "@nothing", "'" + "y" * 5000 + "'", "(" * 200, "@", "[1, 2", "1 2"),
)
LINES = (
    *("include 'nothing.gin'", "include 3", "import nothing_of_this_name", "train:", "  x = 3"),
    *("VAE.latent_dim", "= 3", "a.b.c.d.e = 3", "x/y/VAE.latent_dim = 2", "import", "\t", "\x00"),
)


def of_bytes(content: bytes, random_: random.Random) -> bytes:
    """One damage of a file: bits, a zeroed part, a part that is lost or repeated, an end."""
    changed = bytearray(content)
    at = random_.randrange(len(content) or 1)
    length = random_.choice((1, 2, 8, 64, 512))
    kind = random_.choice(("bit", "byte", "zeros", "lost", "repeated", "cut", "appended", "empty"))
    if kind == "bit":
        changed[at] ^= 1 << random_.randrange(8)
    elif kind == "byte":
        changed[at] = random_.randrange(256)
    elif kind == "zeros":
        changed[at : at + length] = bytes(len(changed[at : at + length]))
    elif kind == "lost":
        del changed[at : at + length]
    elif kind == "repeated":
        changed[at:at] = changed[at : at + length]
    elif kind == "cut":
        del changed[at:]
    elif kind == "appended":
        changed += random_.randbytes(length)
    else:
        changed.clear()
    return bytes(changed)


def of_gin(text: str, random_: random.Random) -> bytes:
    """One damage of a gin file, mostly one that is gin still."""
    lines = text.splitlines()
    bound = [k for k, line in enumerate(lines) if re.match(r"^[^#\s].*=", line)]
    at = random_.choice(bound)
    name, _, value = lines[at].partition("=")
    kind = random_.choice(("value",) * 6 + ("name", "line", "swap", "lost", "bytes", "nested"))
    if kind == "value":
        lines[at] = f"{name}= {random_.choice(VALUES)}"
    elif kind == "name":
        place = random_.randrange(len(name))
        lines[at] = f"{name[:place]}{random_.choice('xX._/ 0')}{name[place + 1 :]}={value}"
    elif kind == "line":
        lines.insert(at, random_.choice(LINES))
    elif kind == "swap":
        other = random_.choice(bound)
        lines[at] = f"{name}={lines[other].partition('=')[2]}"
    elif kind == "lost":
        del lines[at]
    elif kind == "nested":
        lines[at] = f"{name}= [{random_.choice(VALUES)}, {{'a': {random_.choice(VALUES)}}}]"
    mutated = "\n".join(lines).encode()
    return of_bytes(mutated, random_) if kind == "bytes" else mutated
