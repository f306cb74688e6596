# Other rules are loaded while a request waits: it is decided under those that hold at the click.
@requester: /access prod-db 30m fixing INC-42                    => $fix
@guard: /access approve $fix
expect refusal: you are no approver
reload stricter
expect entry rules.loaded
expect in #security: rules are wider
@approver: /access approve $fix
expect refusal: you are no approver
@guard: /access approve $fix
expect grant $fix live
restart
expect grant $fix live
after 30m
expect grant $fix ended expired
expect verify
