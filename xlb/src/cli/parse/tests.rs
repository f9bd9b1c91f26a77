//! Each parser with what it takes and what it refuses.

use super::*;

#[test]
fn addresses() {
    assert_eq!(address("192.0.2.1:80").unwrap().to_string(), "192.0.2.1:80");
    assert_eq!(address("[2001:db8::1]:80").unwrap().to_string(), "[2001:db8::1]:80");
    // Port 0 is the agent's to refuse: it knows why.
    assert_eq!(address("192.0.2.1:0").unwrap().port(), 0);
    for (word, said) in [
        ("2001:db8::1", "the port is missing: [2001:db8::1]:80"),
        ("192.0.2.1:http", "`http` is no port"),
        ("192.0.2.1:65536", "`65536` is no port"),
        ("example.org:80", "`example.org` is no IP address (names are not looked up)"),
        ("192.0.2.256:80", "`192.0.2.256` is no IP address"),
        ("[::1", "no IP address"),
        ("", "expected ADDR:PORT"),
        (":80", "expected ADDR:PORT"),
    ] {
        let error = address(word).expect_err(word);
        assert!(error.contains(said), "{word}: {error}");
    }
}

#[test]
fn backends_and_their_weights() {
    assert_eq!(backend("10.0.0.1:80").unwrap().weight, 1);
    assert_eq!(backend("10.0.0.1:80=0").unwrap().weight, 0);
    for word in ["10.0.0.1:80=", "10.0.0.1:80=-1", "10.0.0.1:80=1.5", "10.0.0.1=2"] {
        assert!(backend(word).is_err(), "{word}");
    }
}

#[test]
fn prefixes() {
    assert_eq!(prefix("10.1.0.0/16").unwrap(), "10.1.0.0/16");
    assert_eq!(prefix("10.1.2.3").unwrap(), "10.1.2.3/32");
    assert_eq!(prefix("2001:db8::/32").unwrap(), "2001:db8::/32");
    for word in ["10.1.0.0/", "10.1/16", "10.0.0.0/-1", "::/129", "/8", ""] {
        assert!(prefix(word).is_err(), "{word}");
    }
}

#[test]
fn names() {
    let longest = "a".repeat(63);
    for word in ["a", "0", "web.example-1_b", &longest] {
        assert_eq!(service_name(word).as_deref(), Ok(word));
    }
    for word in ["", ".", "-a", "a b", "ä", &"a".repeat(64)] {
        assert!(service_name(word).is_err(), "{word}");
    }
    for word in ["eth0", "enp3s0.100", "123456789012345"] {
        assert_eq!(interface_name(word).as_deref(), Ok(word));
    }
    for word in ["", ".", "..", "eth0:1", "a b", "a/b", "a\0", "1234567890123456"] {
        assert!(interface_name(word).is_err(), "{word}");
    }
}

#[test]
fn intervals() {
    assert_eq!(interval("2"), Ok(Duration::from_secs(2)));
    assert_eq!(interval("1.5s"), Ok(Duration::from_millis(1500)));
    assert_eq!(interval("250ms"), Ok(Duration::from_millis(250)));
    for word in ["", "0", "0.05", "3601", "-1", "nan", "inf", "1m", "web"] {
        assert!(interval(word).is_err(), "{word}");
    }
}

#[test]
fn hash_keys() {
    let standard = xlb_common::toeplitz::STANDARD_KEY;
    let hex: String = standard.iter().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!(hash_key(&hex), Ok(HashKey(standard)));
    let colons: Vec<String> = standard.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash_key(&colons.join(":")), Ok(HashKey(standard)));
    assert_eq!(hash_key(&hex[1..]), Err("expected 80 hex digits, not 79".to_owned()));
    assert_eq!(hash_key("xyz"), Err("expected hex digits only".to_owned()));
}
