# Whoever answers for security may search all of the ledger; everybody else what concerns them. The reading is recorded.
@requester: /access prod-db 30m fixing INC-42                   => $one
@second: /access staging-host 1h looking around                 => $two
@approver: /access approve $one

@guard: /access log INC-42
expect answer: access.requested
expect answer: fixing INC-42
@guard: /access log looking around
expect answer: access.requested
@requester: /access log access.requested
expect answer: fixing INC-42
expect answer: about your requests
@requester: /access log looking around
expect answer: Nothing was found
expect entry log.read
