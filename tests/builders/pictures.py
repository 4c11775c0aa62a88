"""As much of PNG as is needed to look at what a browser has drawn: 8 bits a channel, not interlaced."""

import struct
import zlib


class Picture:
    """``pixel(x, y)`` is ``(red, green, blue)``."""

    def __init__(self, png):
        self.width, self.height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", png[16:29])
        assert (depth, interlaced) == (8, 0), "another kind of PNG"
        self._channels = {2: 3, 6: 4}[kind]
        self._rows = self._unfiltered(zlib.decompress(b"".join(_data(png))))

    def pixel(self, x, y):
        """Its colour."""
        return tuple(self._rows[y][x * self._channels : x * self._channels + 3])

    def pixels(self):
        """All colours, row by row."""
        return [self.pixel(x, y) for y in range(self.height) for x in range(self.width)]

    def brightness(self):
        """0 (black) to 255 (white), on average."""
        everything = self.pixels()
        return sum(map(sum, everything)) / (3 * len(everything))

    def count(self, colour, within=40):
        """How many pixels are nearly of this colour."""
        return sum(all(abs(a - b) <= within for a, b in zip(one, colour, strict=True)) for one in self.pixels())

    def _unfiltered(self, data):
        step, length = self._channels, self.width * self._channels
        before, rows = bytearray(length), []
        for start in range(0, len(data), length + 1):
            filtered, row = data[start], bytearray(data[start + 1 : start + 1 + length])
            for at in range(length):
                left, up = (row[at - step] if at >= step else 0), before[at]
                corner = before[at - step] if at >= step else 0
                row[at] = (row[at] + _predicted(filtered, left, up, corner)) & 255
            rows.append(row)
            before = row
        return rows


def _predicted(kind, left, up, corner):
    match kind:
        case 0:
            return 0
        case 1:
            return left
        case 2:
            return up
        case 3:
            return (left + up) // 2
        case _:
            guess = left + up - corner
            return min((left, up, corner), key=lambda one: abs(guess - one))


def _data(png):
    at = 8
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        if kind == b"IDAT":
            yield png[at + 8 : at + 8 + length]
        at += length + 12
