#!/usr/bin/env bash
# report.html in headless Chromium: a silent console and no request, with two classes, three, and no test split.
. "$(dirname "$0")/common.sh"
here=$PULMO_SOURCE/tests/cli
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
[ -n "$chromium" ] || { echo "SKIPPED: Chromium is not installed"; exit 77; }
command -v python3 > /dev/null || { echo "SKIPPED: python3 is not installed"; exit 77; }
HOME=$WORK timeout 60 "$chromium" --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$WORK/first" \
    --dump-dom about:blank > blank.txt 2>&1 || { echo "SKIPPED: $chromium does not start here: $(tail -1 blank.txt)"; exit 77; }
make_small
small_train two env > two.txt 2>&1 || { cat two.txt; fail "training"; }
cp -r demo three
evil='<img src=x onerror=console.error(1)>'
for split in train val test; do mkdir "three/$split/$evil" && mv "three/$split"/PNEUMONIA/*virus* "three/$split/$evil/"; done
"$PULMO" pack three threes --size 64 -q
EXTRA="--set data.path=threes" small_train three-run env > three.txt 2>&1 || { cat three.txt; fail "three classes"; }
"$PULMO" evaluate two --data packed --split val --out scored > scored.txt 2>&1 || { cat scored.txt; fail "evaluate"; }
for page in two three-run scored; do
    python3 "$here/browser.py" "$chromium" "$page/report.html" || fail "$page/report.html in Chromium"
done
