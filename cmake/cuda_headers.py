# Fetches the headers that the CUDA device is built with from PyPI, where no toolkit has them.
#
#   cuda_headers.py OUT [--frontend-only]
#
# Writes OUT/include and, when all is there, OUT/versions. NVIDIA's wheels of libraries are hundreds of megabytes, their headers less than
# one: the list of a wheel's files stands at its end, so only that and the headers are read (HTTP ranges). A server without ranges sends
# the whole wheel. The versions are fixed: a build does not depend on its day.
import io
import json
import os
import sys
import urllib.request
import zipfile

FRONTEND = [("nvidia-cudnn-frontend", "1.32.0")]
TOOLKIT = [("nvidia-cuda-runtime", "13.0.96"), ("nvidia-cuda-crt", "13.0.88"), ("nvidia-cublas", "13.1.0.3"), ("nvidia-cudnn-cu13", "9.19.1.2")]
INDEX = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")


def get(url, **headers):
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=120)


class RemoteFile(io.RawIOBase):
    """A file behind a URL, read in pieces of at least 256 KiB."""

    def __init__(self, url):
        self.url, self.at, self.pieces = url, 0, {}
        with get(url, Range="bytes=0-0") as answer:
            if answer.status == 206:
                self.size, self.whole = int(answer.headers["Content-Range"].rsplit("/", 1)[1]), None
            else:
                self.whole = answer.read()
                self.size = len(self.whole)

    def seekable(self):
        return True

    def readable(self):
        return True

    def tell(self):
        return self.at

    def seek(self, offset, whence=io.SEEK_SET):
        self.at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.size}[whence]
        return self.at

    def piece(self, number):
        step = 1 << 18
        if number not in self.pieces:
            low, high = number * step, min(self.size, (number + 1) * step)
            with get(self.url, Range=f"bytes={low}-{high - 1}") as answer:
                self.pieces[number] = answer.read()
        return self.pieces[number]

    def readinto(self, buffer):
        end = min(self.size, self.at + len(buffer))
        if self.whole is not None:
            data = self.whole[self.at:end]
        else:
            number = self.at >> 18
            data = self.piece(number)[self.at - (number << 18):][:end - self.at] if end > self.at else b""
        buffer[:len(data)] = data
        self.at += len(data)
        return len(data)


def wheel_url(package, version):
    with get(f"{INDEX}/{package}/", Accept="application/vnd.pypi.simple.v1+json") as answer:
        files = json.load(answer)["files"]
    begin = f"{package.replace('-', '_')}-{version}-"
    for file in files:
        if file["filename"].startswith(begin) and file["filename"].endswith("x86_64.whl"):
            return file["url"]
    raise SystemExit(f"cuda_headers: PyPI has no wheel of {package} {version} for x86-64")


def fetch(package, version, out):
    """The wheel's headers, each under the path behind its folder `include`."""
    count = 0
    with zipfile.ZipFile(io.BufferedReader(RemoteFile(wheel_url(package, version)), 1 << 16)) as wheel:
        for name in wheel.namelist():
            _, folder, path = ("/" + name).partition("/include/")
            if not path or path.endswith("/"):
                continue
            target = os.path.join(out, path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as file:
                file.write(wheel.read(name))
            count += 1
    print(f"{package} {version}: {count} headers", flush=True)
    if count == 0:
        raise SystemExit(f"cuda_headers: the wheel of {package} {version} holds no headers")


def main():
    out = sys.argv[1]
    wanted = FRONTEND + ([] if "--frontend-only" in sys.argv[2:] else TOOLKIT)
    stamp, text = os.path.join(out, "versions"), "".join(f"{package} {version}\n" for package, version in wanted)
    if os.path.exists(stamp) and open(stamp, encoding="utf-8").read() == text:
        return
    for package, version in wanted:
        fetch(package, version, os.path.join(out, "include"))
    with open(stamp, "w", encoding="utf-8") as file:
        file.write(text)


main()
