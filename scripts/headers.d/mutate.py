# SPDX-License-Identifier: Apache-2.0
"""Headers that nobody wrote: the table's with bytes, words and numbers changed, and objects put together anew."""

import random

TOKENS = [
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b" ", b"\n", b"\t", b"\r", b"\0", b"\x7f", b"null", b"true", b"false",
    b"0", b"1", b"-1", b"-0", b"2.0", b"1e0", b"18446744073709551615", b"18446744073709551616", b"4294967296",
    b'"x"', b'"dtype"', b'"shape"', b'"data_offsets"', b'"__metadata__"', b'"U8"', b'"F4"', b'"F6_E2M3"', b'"BF16"',
    b'"\\u0064type"', b'{"U8":null}', b'"\\ud83d\\ude00"', b'"\\ud800"', b"\xc3\xa9", b"\xed\xa0\x80", b"\xf4\x90\x80\x80",
    b'"x":["U8",[1],[0,1]]', b'"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}', b'"z":[[[1]]]', b"[0,1]", b"[1,2]",
]  # fmt: skip
DTYPES = "BOOL F4 F6_E2M3 F6_E3M2 U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ I16 U16 F16 BF16 I32 F32 C64 F64 I64 U64".split()
BITS = dict(zip(DTYPES, (8, 4, 6, 6, 8, 8, 8, 8, 8, 8, 16, 16, 16, 16, 32, 32, 64, 64, 64, 64)))


def number(r):
    """A JSON number, often near the end of the doubles or of 64 bits."""
    digits = str(r.randrange(10 ** r.choice((1, 3, 17, 19, 20, 25))))
    if r.random() < 0.3:
        digits = r.choice(("17976931348623157", "17976931348623158", "18446744073709551615", "179769313486231581", "49406564584124654"))
    sign = r.choice(("", "", "", "-"))
    point = r.randrange(len(digits) + 1) if r.random() < 0.5 else 0
    text = digits if point in (0, len(digits)) else digits[:point] + "." + digits[point:]
    if r.random() < 0.7:
        near = 308 - (point or len(digits)) + r.randrange(-2, 4)
        text += r.choice("eE") + r.choice(("", "+", "-")) + str(abs(r.choice((near, near, r.randrange(400), r.randrange(10**12)))))
    return (sign + text).encode()


def value(r, depth=0):
    kind = r.randrange(8 if depth < 4 else 5)
    if kind < 2:
        return number(r)
    if kind == 2:
        return r.choice((b"null", b"true", b"false", b'""'))
    if kind < 5:
        return b'"' + r.choice((b"a", b"\\n", b"\\u0041", b"\xe2\x82\xac", b"\\ud83d\\ude00", b"\\/")) + b'"'
    if kind == 5:
        return b"[" + b",".join(value(r, depth + 1) for _ in range(r.randrange(3))) + b"]"
    return b"{" + b",".join(b'"k":' + value(r, depth + 1) for _ in range(r.randrange(3))) + b"}"


def built(r):
    """A sound header with a few tensors, in any order and spelling; sometimes one field is off. Header and bytes of data."""
    parts, at = [], 0
    for i in range(r.randrange(5)):
        dtype = r.choice(DTYPES)
        shape = [r.choice((0, 1, 2, 4, 4, 8, 16, 3)) for _ in range(r.randrange(4))]
        if BITS[dtype] < 8 and r.random() < 0.9:
            shape.append(8)
        bits = BITS[dtype]
        for d in shape:
            bits *= d
        begin, end = at, at + (bits + (0 if r.random() < 0.9 else 7)) // 8
        at = end
        if r.random() < 0.05:
            begin, end = r.choice(((begin + 1, end), (begin, end + 1), (end, begin), (begin - 1, end)))
        name = r.choice((f"t{i}", f"t{i}", f"t{i}", "x", "", "\\u0000", f"é{i}", f"a/../b{i}"))
        fields = [f'"dtype":"{dtype}"', f'"shape":{shape}', f'"data_offsets":[{begin},{end}]']
        r.shuffle(fields)
        fields = [f.encode() for f in fields]
        if r.random() < 0.2:
            fields.insert(r.randrange(4), b'"e":' + value(r))
        entry = b"{" + b",".join(fields) + b"}"
        if r.random() < 0.1:
            entry = f'["{dtype}",{shape},[{begin},{end}]]'.encode()
        parts.append(b'"' + name.encode() + b'":' + entry)
    if r.random() < 0.3:
        parts.append(b'"__metadata__":' + r.choice((b"null", b"{}", b'{"format":"pt"}', b'{"a":"b","a":"c"}', b'{"a":1}')))
    r.shuffle(parts)
    space = r.choice((b"", b"", b"", b" ", b"\n", b"\t "))
    return space + b"{" + (b"," + space).join(parts) + b"}" + r.choice((b"", b"", b"  ", b"\n", b"\0")), at


def damaged(r, header):
    b = bytearray(header)
    for _ in range(r.choice((0, 0, 0, 1, 1, 1, 2, 4))):
        i = r.randrange(len(b) + 1)
        j = min(len(b), i + r.choice((1, 1, 2, 5, 20)))
        how = r.randrange(7)
        if how == 0 and i < len(b):
            b[i] ^= 1 << r.randrange(8)
        elif how == 1:
            del b[i:j]
        elif how == 2:
            b[i:i] = r.choice(TOKENS)
        elif how == 3:
            b[i:j] = r.choice(TOKENS)
        elif how == 4:
            b[i:i] = b[i:j]
        elif how == 5:
            b[i:i] = number(r)
        elif i < len(b):
            b[i] = r.randrange(256)
    return bytes(b)


def files(count, seed, table):
    """count files; table: those of the table, short ones, as a start."""
    r = random.Random(seed)
    start = [f for f in table if 8 <= len(f) < 600]
    for _ in range(count):
        if r.random() < 0.5:
            header, n_data = built(r)
        else:
            file = r.choice(start)
            n = min(int.from_bytes(file[:8], "little"), len(file) - 8)
            header, n_data = file[8 : 8 + n], len(file) - 8 - n
        header = damaged(r, header)
        length = len(header)
        if r.random() < 0.03:
            length = r.choice((0, length + 1, max(0, length - 1), 100_000_000, 100_000_001, 1 << 63, (1 << 64) - 1))
        if r.random() < 0.05:
            n_data = max(0, n_data + r.choice((-1, 1, 7)))
        file = length.to_bytes(8, "little") + header + bytes(n_data)
        yield file[: r.randrange(len(file) + 1)] if r.random() < 0.01 else file
