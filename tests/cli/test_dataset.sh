#!/usr/bin/env bash
# The PyTorch Dataset of docs/how-to/other-programs.md: the page's own lines are run on a pack of grey images in one shard
# and on one of several shards. Its pixels are those whose SHA-256 pack wrote into the manifest; labels, order and
# normalisation are the manifest's and torchvision's; workers give the same.
. "$(dirname "$0")/common.sh"
python=${PULMO_PYTHON:-python3}
"$python" -c 'import torch, h5py' 2> missing.txt || {
    echo "SKIPPED: $python: $(tail -1 missing.txt); PULMO_PYTHON may name another"
    exit 77
}
"$PULMO" demo-data demo --train 90 --val 11 --test 9 --seed 3 -q
"$PULMO" pack demo packed --size 64 -q
"$PULMO" pack demo more --size 64 -q --set pack.shard_images=16 > more.txt 2>&1 || { cat more.txt; fail "a pack of several shards"; }
[ "$(ls more/train-*.h5 | wc -l)" -gt 2 ] || fail "not several shards"
"$python" - "$PULMO_SOURCE/docs/how-to/other-programs.md" <<'EOF2' || fail "the Dataset"
import hashlib, re, sys
text = open(sys.argv[1]).read()
blocks = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
code = "\n".join(blocks)
assert len([line for line in blocks[0].splitlines() if line.strip()]) <= 32, "no longer a short class"
open("page.py", "w").write(code)
sys.path.insert(0, ".")
import page, h5py, numpy, torch
assert len(page.train) == sum(len(labels) for _, labels in page.batches), "the loader of the page"
seen = 0
for packed in ("packed", "more"):
    manifest = h5py.File(f"{packed}/manifest.h5")
    for split in ("train", "val", "test"):
        data = page.Packed(packed, split)
        about = manifest[f"splits/{split}"]
        assert data.labels == about["labels"][:].tolist() and len(data) == about.attrs["count"], split
        assert data.classes == ["NORMAL", "PNEUMONIA"]
        for i, digest in enumerate(about["pixel_digests"][:]):
            pixels = data.pixels(i).numpy()
            assert hashlib.sha256(numpy.ascontiguousarray(pixels[..., :1])).hexdigest() == digest.decode(), (packed, split, i)
            image, label = data[i]
            assert image.shape == (3, 64, 64) and label == about["labels"][i]
            back = image.numpy().astype(float) * [[[0.229]], [[0.224]], [[0.225]]] + [[[0.485]], [[0.456]], [[0.406]]]
            assert abs(back * 255 - pixels.transpose(2, 0, 1)).max() < 1e-3
            seen += 1
    data = page.Packed(packed, "train")
    with_workers = torch.utils.data.DataLoader(data, batch_size=7, num_workers=2)
    images = torch.cat([images for images, _ in with_workers])
    assert torch.equal(images, torch.stack([data[i][0] for i in range(len(data))])), "workers"
print(seen, "images are those that pack wrote")
EOF2
echo "ok"
