# What one holds already may be asked for again; each has its own end.
@requester: /access prod-db 1h the first thing                   => $one
@requester: /access prod-db 1h the same thing twice
expect refusal: already_held
@approver: /access approve $one
after 10m
@requester: /access prod-db 30m another thing                    => $two
@approver: /access approve $two
expect grant $one live until 10:00
expect grant $two live until 09:40
@requester: /access mine
expect answer: $one prod-db
expect answer: $two prod-db
after 30m
expect grant $two ended expired
expect grant $one live
@requester: /access done $one
expect grant $one ended returned
