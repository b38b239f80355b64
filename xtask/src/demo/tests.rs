use super::*;

/// What `serve` answers to `request`.
fn talk(serve: Serve, request: &str) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || serve(listener.accept().unwrap().0));
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    server.join().unwrap().unwrap();
    reply
}

#[test]
fn the_plain_service_answers_ok() {
    let reply = talk(plain, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.ends_with("\r\n\r\nok\n"), "{reply}");
}

#[test]
fn a_head_request_gets_no_body() {
    let reply = talk(plain, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(reply.contains("Content-Length: 3") && reply.ends_with("\r\n\r\n"), "{reply}");
}

#[test]
fn the_line_service_answers_every_ping() {
    assert_eq!(talk(lines, "PING\nping\r\nhello\n"), "+PONG\r\n+PONG\r\n-ERR say PING\r\n");
}

#[test]
fn the_flaky_service_fails_twenty_seconds_of_ninety() {
    let failing = (900..990).filter(|second| flaky_fails(*second)).count();
    assert_eq!(failing, 20);
}
