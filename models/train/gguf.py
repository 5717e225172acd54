"""A small reader and writer of GGUF version 3: what the export and the warm start need, and no more."""
import struct
import numpy as np

ALIGN = 32
F32, F16 = 0, 1
FIXED = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
STRING, ARRAY = 8, 9


def text_bytes(s):
    data = s.encode()
    return struct.pack("<Q", len(data)) + data


def value_bytes(v):
    """(type number, encoded value); ints are u32 as the common keys want them, floats f32."""
    if isinstance(v, bool):
        return 7, struct.pack("<?", v)
    if isinstance(v, int):
        return 4, struct.pack("<I", v)
    if isinstance(v, float):
        return 6, struct.pack("<f", v)
    if isinstance(v, str):
        return STRING, text_bytes(v)
    kind = 5 if isinstance(v[0], int) else value_bytes(v[0])[0]      # lists of integers are i32 (token types, rope sections)
    items = b"".join(struct.pack("<i", x) if kind == 5 else value_bytes(x)[1] for x in v)
    return ARRAY, struct.pack("<IQ", kind, len(v)) + items


def write(path, metadata, tensors):
    """metadata: {key: value}; tensors: {name: float array, outermost dimension first, float16 or float32}."""
    head = [struct.pack("<IIQQ", 0x46554747, 3, len(tensors), len(metadata))]
    for key, v in metadata.items():
        kind, data = value_bytes(v)
        head += [text_bytes(key), struct.pack("<I", kind), data]
    offset, blobs = 0, []
    for name, t in tensors.items():
        t = np.ascontiguousarray(t)
        kind = {np.dtype("float32"): F32, np.dtype("float16"): F16}[t.dtype]
        dims = t.shape[::-1]
        head += [text_bytes(name), struct.pack("<I", len(dims)), struct.pack(f"<{len(dims)}Q", *dims), struct.pack("<IQ", kind, offset)]
        blob = t.tobytes()
        blob += b"\0" * (-len(blob) % ALIGN)
        blobs.append(blob)
        offset += len(blob)
    head = b"".join(head)
    with open(path, "wb") as out:
        out.write(head + b"\0" * (-len(head) % ALIGN))
        for blob in blobs:
            out.write(blob)


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        (v,) = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return v

    def text(self):
        n = self.take("<Q")
        self.at += n
        return self.data[self.at - n:self.at].decode()

    def value(self, kind):
        if kind == STRING:
            return self.text()
        if kind == ARRAY:
            inner, n = self.take("<I"), self.take("<Q")
            return [self.value(inner) for _ in range(n)]
        return self.take(FIXED[kind])


def read(path):
    """-> (metadata, {name: float32 array}); F32 and F16 tensors only."""
    with open(path, "rb") as file:
        c = Cursor(file.read())
    assert c.take("<I") == 0x46554747 and c.take("<I") in (2, 3), path
    n_tensors, n_keys = c.take("<Q"), c.take("<Q")
    metadata = {}
    for _ in range(n_keys):
        key = c.text()
        metadata[key] = c.value(c.take("<I"))
    infos = []
    for _ in range(n_tensors):
        name, rank = c.text(), c.take("<I")
        infos.append((name, [c.take("<Q") for _ in range(rank)], c.take("<I"), c.take("<Q")))
    base = -(-c.at // ALIGN) * ALIGN
    tensors = {}
    for name, dims, kind, offset in infos:
        t = np.frombuffer(c.data, "<f2" if kind == F16 else "<f4", int(np.prod(dims)), base + offset)
        tensors[name] = t.astype(np.float32).reshape(dims[::-1])
    return metadata, tensors
