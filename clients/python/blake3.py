"""BLAKE3 in its plain hash mode, after its specification: slow (about 400 kB a second) and short.

A body is read once from beginning to end, so `Blake3` takes pieces and keeps one chunk and a stack of subtrees.
"""

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8
CHUNK_BYTES, BLOCK_BYTES = 1024, 64
MASK = 0xFFFFFFFF

# Which four words of the state each quarter round mixes: the columns, then the diagonals.
QUARTERS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
            (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


def _schedule():
    order, rounds = tuple(range(16)), []
    for _ in range(7):
        rounds.append(order)
        order = tuple(order[place] for place in PERMUTATION)
    return rounds


SCHEDULE = _schedule()


def _compress(chaining, block, counter, length, flags):
    """The first eight words of the compression's output."""
    words = [int.from_bytes(block[at:at + 4], "little") for at in range(0, BLOCK_BYTES, 4)]
    v = list(chaining) + list(IV[:4]) + [counter & MASK, counter >> 32, length, flags]
    for order in SCHEDULE:
        for number, (a, b, c, d) in enumerate(QUARTERS):
            va, vb, vc, vd = v[a], v[b], v[c], v[d]
            va = (va + vb + words[order[2 * number]]) & MASK
            vd ^= va
            vd = (vd >> 16 | vd << 16) & MASK
            vc = (vc + vd) & MASK
            vb ^= vc
            vb = (vb >> 12 | vb << 20) & MASK
            va = (va + vb + words[order[2 * number + 1]]) & MASK
            vd ^= va
            vd = (vd >> 8 | vd << 24) & MASK
            vc = (vc + vd) & MASK
            vb ^= vc
            v[a], v[b], v[c], v[d] = va, (vb >> 7 | vb << 25) & MASK, vc, vd
    return tuple(v[i] ^ v[i + 8] for i in range(8))


def _chunk(data, counter, last_flags=0):
    """The chaining value of one chunk; `last_flags` adds ROOT if it is the only one."""
    chaining = IV
    for at in range(0, max(len(data), 1), BLOCK_BYTES):
        block = data[at:at + BLOCK_BYTES]
        flags = CHUNK_START if at == 0 else 0
        if at + BLOCK_BYTES >= len(data):
            flags |= CHUNK_END | last_flags
        chaining = _compress(chaining, block.ljust(BLOCK_BYTES, b"\0"), counter, len(block), flags)
    return chaining


def _parent(left, right, flags=0):
    block = b"".join(word.to_bytes(4, "little") for word in left + right)
    return _compress(IV, block, 0, BLOCK_BYTES, PARENT | flags)


class Blake3:
    """Takes a body piece by piece."""

    def __init__(self):
        self.rest = b""
        self.chunks = 0
        self.stack = []

    def update(self, data):
        data = self.rest + data
        # The last chunk waits, since it alone may be the root.
        whole = max(0, (len(data) - 1) // CHUNK_BYTES)
        for number in range(whole):
            self._push(_chunk(data[number * CHUNK_BYTES:(number + 1) * CHUNK_BYTES], self.chunks))
        self.rest = data[whole * CHUNK_BYTES:]
        return self

    def _push(self, value):
        self.chunks += 1
        # As many subtrees are whole as the count has zeros at its end.
        count = self.chunks
        while count % 2 == 0:
            value = _parent(self.stack.pop(), value)
            count //= 2
        self.stack.append(value)

    def digest(self):
        if not self.stack:
            root = _chunk(self.rest, 0, ROOT)
        else:
            root = _chunk(self.rest, self.chunks)
            for place in range(len(self.stack) - 1, -1, -1):
                root = _parent(self.stack[place], root, ROOT if place == 0 else 0)
        return b"".join(word.to_bytes(4, "little") for word in root)


def blake3(data):
    return Blake3().update(data).digest()
