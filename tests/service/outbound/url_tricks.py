"""Ways to name an address one must not reach. `{port}` is that of a canary on loopback."""

from typing import Final


def _each(words: str) -> list[str]:
    return words.split()


# IPv4 in every notation that some reader takes for an address.
_LOOPBACKS: Final = _each("""
127.0.0.1 127.1 127.0.1 127.000.000.001 0177.0.0.1 0177.0.0.01 00177.0.0.1 0x7f.0.0.1 0x7f.1
0x7F.0x0.0x0.0x1 0x7f000001 0X7F000001 2130706433 02130706433 017700000001 0x000000007f000001
127.0.0.1. 127.1. 2130706433. 127.127.127.127 127.0.0.0 127.255.255.255 0 0.0.0.0 0.0 0x0 00 000
0000.0000.0000.0000 4294967295 4294967297 127.0.0.256 127.0.0.1.1 127.0x0.00.01 127..1 .127.0.0.1
127.0.0.1%00 127.0.0.1%0a 127.0.0.1%20 %31%32%37.0.0.1 127%2e0%2e0%2e1 127.0.0.1%2f 127.0.0.1%23
1.0x7f000001 256.256.256.256 9999999999999 0x100000001 0b1111111 127.0.0.1:
""")
_PRIVATE: Final = _each("""
10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.254 192.168.0.1 192.168.1.254 169.254.169.254
169.254.170.2 100.64.0.1 100.100.100.200 100.127.255.255 192.0.0.1 192.0.0.192 198.18.0.1
198.19.255.255 192.0.2.1 198.51.100.1 203.0.113.1 192.88.99.1 224.0.0.1 239.255.255.250 240.0.0.1
255.255.255.255 0.1.2.3 2852039166 0xa9fea9fe 0xa9.0xfe.0xa9.0xfe 0251.0376.0251.0376
10.1 192.168.257
""")
# A public one too: a receiver has a name.
_PUBLIC: Final = ["93.184.216.34", "1.1.1.1", "8.8.8.8", "0x08080808", "134744072", "8.8"]
_SIXES: Final = _each("""
[::1] [::] [0:0:0:0:0:0:0:1] [0000::0001] [::0001] [0::1] [::ffff:127.0.0.1] [::FFFF:127.0.0.1]
[::ffff:7f00:1] [::ffff:7f00:0001] [0:0:0:0:0:ffff:127.0.0.1] [::127.0.0.1] [::7f00:1]
[::ffff:0:127.0.0.1] [64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b:1::7f00:1] [2002:7f00:1::]
[2002:a9fe:a9fe::1] [2002:0a00:0001::1] [2001::1] [2001:0:4136:e378:8000:63bf:80ff:fffe]
[2001:db8::1] [fe80::1] [fe80::1%25eth0] [fe80::1%eth0] [::1%25lo] [::1%lo] [fc00::1] [fd00::1]
[fd00:ec2::254] [fec0::1] [ff02::1] [100::1] [3fff::1] [::ffff:169.254.169.254] [::ffff:a9fe:a9fe]
[2606:4700:4700::1111] [::1 ::1 ::1] [::1]] [[::1]] [127.0.0.1] [localhost] [example.com] []
[:] [::g]
[v1.::1] [::1]. [::ffff:0x7f.1] [::ffff:127.1] [0:0:0:0:0:0:0:0:1]
""")
_NAMES: Final = _each("""
localhost LOCALHOST LocalHost localhost. localhost.. localhost.localdomain. a.localhost A.LOCALHOST
localhost%00 localhost%2e localhost%20 local%68ost %6cocalhost printer.local redis worker ledger
gateway metadata instance-data metadata.google.internal metadata.google.internal. vault.internal
router.home.arpa kubernetes.default.svc.cluster.local x.onion x.invalid x.alt com example.com. .com
.example.com example..com -example.com example-.com exa_mple.com example.c example.123 example.0x7f
ex*ample.com xn--.com xn--a.com xn--localhost-.com *.example.com example.com,localhost a;b.com
""")
# Characters that some reader folds to others.
_LOOKALIKES: Final = _each("""
ⓛⓞⓒⓐⓛⓗⓞⓢⓣ ｌｏｃａｌｈｏｓｔ loc𝐚lhost localho𝔰t １２７.０.０.１ ①②⑦.⓪.⓪.① 127。0。0。1
127．0．0．1 127｡0｡0｡1
localhost。 example。com example．com ＠127.0.0.1 exa​mple.com exa­mple.com exam‮ple.com ١٢٧.٠.٠.١
१२७.०.०.१ ⅼocalhost ℓocalhost ß.localhost 1₂7.0.0.1 127.0.0.¹ ½.com ㏇.com ｅxample.com \u212a.com
""")
_AROUND: Final = [
    # Who is who: user information, and what readers disagree about.
    "https://user@example.com/",
    "https://user:secret@example.com/",
    "https://:@example.com/",
    "https://@example.com/",
    "https://example.com@127.0.0.1:{port}/",
    "https://example.com:443@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}@example.com/",
    "https://example.com%40127.0.0.1:{port}/",
    "https://example.com#@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}#@example.com/",
    "https://127.0.0.1:{port}?@example.com/",
    "https://example.com&@127.0.0.1:{port}/",
    "https://example.com;@127.0.0.1:{port}/",
    "https://foo@127.0.0.1:{port}@example.com/",
    "https://foo@127.0.0.1:{port} @example.com/",
    "https://example.com\\@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}\\@example.com/",
    "https://example.com\\.127.0.0.1:{port}/",
    "https:\\\\127.0.0.1:{port}\\",
    "https:/\\127.0.0.1:{port}/",
    "https:\\/127.0.0.1:{port}/",
    "https:/127.0.0.1:{port}/",
    "https:127.0.0.1:{port}/",
    "https:example.com",
    "https:///127.0.0.1:{port}/",
    "https:////127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "///example.com/",
    "/etc/passwd",
    "127.0.0.1:{port}",
    "example.com",
    "?https://example.com/",
    "",
    " ",
    # White space and control characters, anywhere.
    " https://example.com/",
    "https://example.com/ ",
    "\thttps://example.com/",
    "https://example.com/\n",
    "https://example.com\n.127.0.0.1/",
    "https://exam\tple.com/",
    "https://exam\r\nple.com/",
    "ht\ntps://example.com/",
    "https://example.com/\r\nHost: 127.0.0.1",
    "https://example.com/a b",
    "https://example.com/\x00",
    "https://example.com\x00.127.0.0.1/",
    "https://example.com/\x7f",
    "https://example.com\u2028/",
    "https://example.com/\u00a0",
    "https://example.com/é",
    "https://example.com/\u202e",
    "https://example.com/%",
    "https://example.com/%zz",
    "https://example.com/%0",
    "https://example.com/<script>",
    'https://example.com/"',
    "https://example.com/{{}}",
    "https://example.com/|",
    "https://example.com/^",
    "https://example.com/`",
    "https://example.com/[",
    "https://example.com/#fragment",
    "https://example.com/#",
    "https://example.com?a=[",
    # Ports.
    "https://example.com:0/",
    "https://example.com:22/",
    "https://example.com:25/",
    "https://example.com:80/",
    "https://example.com:6379/",
    "https://example.com:0443/",
    "https://example.com:+443/",
    "https://example.com:-443/",
    "https://example.com: 443/",
    "https://example.com:443:443/",
    "https://example.com:65536/",
    "https://example.com:65979/",
    "https://example.com:４４３/",
    "https://example.com:/",
    "https://example.com:443a/",
    "https://example.com:0x1bb/",
    "https://example.com:999999999999/",
    # Schemes.
    "http://example.com/",
    "http://localhost:{port}/",
    "HTTP://127.0.0.1:{port}/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "gopher://127.0.0.1:{port}/_SET%20a%20b",
    "dict://127.0.0.1:{port}/info",
    "ldap://127.0.0.1:{port}/",
    "sftp://127.0.0.1:{port}/",
    "tftp://127.0.0.1:{port}/",
    "redis://127.0.0.1:{port}/",
    "jar:https://example.com!/",
    "data:text/plain,hello",
    "javascript:alert(1)",
    "unix:/var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
    "ws://127.0.0.1:{port}/",
    "view-source:https://example.com/",
    "url:https://example.com/",
    "httpss://example.com/",
    "https//example.com/",
    "ｈttps://example.com/",
    "https：//example.com/",
    "https://https://example.com/",
    "https%3A%2F%2Fexample.com/",
    # Too long, as a whole and in its parts.
    "https://example.com/" + "a" * 2_048,
    "https://" + "a" * 64 + ".com/",
    "https://" + "a." * 127 + "com/",
    # Letters that are others once their case is left out of account.
    "http\u017f://example.com/",
    "https://example.com/\u017f",
    "https://example.com/?\u212a",
    "https://example.com/\u0131",
    "https://" + "a" * 2_000 + ".com/",
]
_HOSTS: Final = [*_LOOPBACKS, *_PRIVATE, *_PUBLIC, *_SIXES, *_NAMES, *_LOOKALIKES]

# Refused as soon as they are read.
VISIBLE: Final = [
    *_AROUND,
    *(f"https://{host}/" for host in _HOSTS),
    *(f"https://{host}:{{port}}/" for host in (*_LOOPBACKS, *_SIXES, *_NAMES)),
    *(f"http://{host}:{{port}}/" for host in _LOOPBACKS),
]

# Public-looking names that resolve to private addresses: all that a resolver returns for each.
HIDDEN: Final[dict[str, list[str]]] = {
    "127.0.0.1.nip.io": ["127.0.0.1"],
    "localtest.me": ["127.0.0.1", "::1"],
    "lvh.me": ["127.0.0.1"],
    "spoofed.burpcollaborator.net": ["127.0.0.1"],
    "a9fea9fe.nip.io": ["169.254.169.254"],
    "10-0-0-1.sslip.io": ["10.0.0.1"],
    "www.127.0.0.1.nip.io": ["127.0.0.1"],
    "LOCALTEST.me": ["127.0.0.1"],
    "xn--bcher-kva.example.com": ["127.0.0.1"],
    "bücher.example.com": ["127.0.0.1"],
    "аpple.com": ["127.0.0.1"],
    "mixed.example.com": ["93.184.216.34", "127.0.0.1"],
    "mixed-last.example.com": ["93.184.216.34", "1.1.1.1", "10.0.0.1"],
    "mixed-six.example.com": ["2606:4700:4700::1111", "::1"],
    "scoped.example.com": ["fe80::1%lo"],
} | {
    f"{number}.rebind.example.com": [address]
    for number, address in enumerate(
        _each("""
        127.0.0.1 127.1.2.3 127.255.255.254 0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1
        100.127.255.255 168.63.129.16
        169.254.169.254 169.254.0.1 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.8
        192.0.0.170 192.0.2.1 192.88.99.1 192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255
        198.51.100.7 203.0.113.7 224.0.0.1 232.1.1.1 239.255.255.250 240.0.0.1 255.255.255.255
        ::1 :: ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:10.0.0.1 ::ffff:0:127.0.0.1 ::127.0.0.1
        ::8.8.8.8 64:ff9b::127.0.0.1 64:ff9b::8.8.8.8 64:ff9b:1::1 100::1 100:0:0:1::1 2001::1
        2001:0:4136:e378:8000:63bf:80ff:fffe 2001:2::1 2001:10::1 2001:20::1 2001:db8::1
        2002:7f00:1:: 2002:a9fe:a9fe::1 2002:808:808::1 3fff::1 5f00::1 fc00::1 fd00::1
        fd00:ec2::254 fe80::1 febf::1 fec0::1 feff::1 ff00::1 ff02::1 ff0e::1 4000::1 9000::1
        """)
    )
}

# These are public, and are connected to.
OPEN: Final = [
    "https://example.com",
    "https://example.com/",
    "HTTPS://EXAMPLE.com/Hook",
    "https://hooks.example.co.uk/a/b-c_d.e~f?token=x%20y&z=1",
    "https://example.com:443/",
    "https://bücher.example/",
    "https://xn--bcher-kva.example/",
    "https://a-b.example.com/$&'()*+,;=:@!",
    "https://123.example.com/",
    "https://1.1.1.1.example.com/",
]
