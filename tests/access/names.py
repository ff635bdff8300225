"""What a file may be called by somebody who means no good."""

from __future__ import annotations

ESCAPE = "\x1b]0;owned\x07\x1b[31m\x1b[2J"
OVERRIDE = "\u202e"

#: by what they try
HOSTILE = {
    "leave the folder": "../../../etc/cron.d/robot.png",
    "leave the folder, the other slash": "..\\..\\windows\\robot.png",
    "leave the folder, encoded": "%2e%2e%2f%2e%2e%2frobot.png",
    "leave the folder, encoded twice": "%252e%252e%252frobot.png",
    "leave the folder, full width": "\uff0e\uff0e\uff0frobot.png",
    "leave the folder, overlong": "\udcc0\udcae\udcc0\udcae/robot.png",
    "be the folder above": "...png",
    "be this folder": "..png",
    "be blanks": " . .png",
    "be absolute": "/etc/passwd.png",
    "be a drive": "C:\\robot.png",
    "be a stream": "robot.png::$DATA.png",
    "be a device": "CON.png",
    "end in dots": "robot.png...",
    "end in a zero byte": "robot.png\0.exe",
    "begin a header": 'robot.png"\r\nSet-Cookie: a=b\r\n\r\n<script>alert(1)</script>.png',
    "end a quotation": "robot\";filename*=UTF-8''evil.html;x=\".png",
    "be markup": "<img src=x onerror=alert(1)>.png",
    "be a link": "javascript:alert(1).png",
    "be an option": "--out=x.png",
    "be a formula": "=cmd|' /C calc'!A0.png",
    "be a template": "${filename}{{7*7}}%s%n$(id)`id`.png",
    "colour the terminal": f"robot{ESCAPE}.png",
    "colour it in one byte": "robot\x9b31m.png",
    "style the console": "[red]robot[link=https://evil.example]here.png",
    "turn the direction": f"robot{OVERRIDE}gnp.exe.png",
    "be another line of a log": "robot.png\n2026-11-23 12:00:00,000 INFO functions.api all is well.png",
    "be a line by another letter": "robot\u2028\x85\x0b\x0c.png",
    "be long": "r" * 5000 + ".png",
    "be no text": "robot\udcff.png",
}
