"""A million rows of scores for `pulmo report --scores` and `pulmo compare`: python3 bench/scores.py ROWS > scores.csv
Patients have one to four images; two columns to group by. /usr/bin/time -v tells seconds and memory."""
import math
import random
import sys

rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
draw = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
print("path,patient,label,p_NORMAL,p_PNEUMONIA,Sex,Age")
patient, left = 0, 0
for i in range(rows):
    if left == 0:
        patient, left = patient + 1, draw.randint(1, 4)
        sick, own = draw.random() < 0.3, draw.gauss(0, 0.7)
        about = f"{'FM'[patient % 2]},{draw.randint(0, 95)}"
    left -= 1
    p = 1 / (1 + math.exp(-draw.gauss(1.5 if sick else -1.5, 1) - own))
    print(f"set/{patient:07d}/{i:07d}.png,{patient},{'PNEUMONIA' if sick else 'NORMAL'},{1 - p:.9f},{p:.9f},{about}")
