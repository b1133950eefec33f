"""Opens a page in headless Chromium: nothing on the console, and no request but for the file itself.
python3 browser.py CHROMIUM report.html"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

chromium, page = sys.argv[1], pathlib.Path(sys.argv[2]).resolve().as_uri()


def visit(url, home):
    log = os.path.join(home, "net.json")
    command = [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
               "--disable-component-update", "--disable-sync", "--disable-default-apps", "--disable-features=OptimizationHints,MediaRouter",
               "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={home}/profile", f"--log-net-log={log}", "--enable-logging=stderr", "--window-size=1200,4000",
               f"--screenshot={home}/page.png", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, "HOME": home})
    assert done.returncode == 0 and os.path.getsize(f"{home}/page.png") > 1000, done.stderr[-2000:]
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    with open(log) as file:
        text = file.read().rstrip()
    events = json.loads(text if text.endswith("}") else text.rstrip(",") + "]}")["events"]
    # The browser asks for things by itself too, on behalf of no page: those have no origin.
    asked = [e["params"] for e in events if "url" in e.get("params", {})]
    urls = {a["url"] for a in asked if a.get("initiator", "not an origin") != "not an origin"}
    return console, {u for u in urls if not u.startswith(("file:", "data:"))}


with tempfile.TemporaryDirectory() as home:
    # That the check can fail: a page which does both.
    bad = pathlib.Path(home) / "bad.html"
    bad.write_text("<script>console.error('seen')</script><img src='http://127.0.0.1:9/x.png'>")
    os.mkdir(f"{home}/a"), os.mkdir(f"{home}/b")
    console, urls = visit(bad.as_uri(), f"{home}/a")
    assert any("seen" in c for c in console) and any("127.0.0.1:9" in u for u in urls), (console, urls)
    told, asked = visit(page, f"{home}/b")
    assert not told, told
    assert not asked, asked
print("opened in Chromium: a silent console, no request")
