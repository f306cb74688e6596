# The machine's clock is set back: nobody's access lasts longer for it, and security is told.
@requester: /access prod-db 30m fixing INC-42                    => $fix
@approver: /access approve $fix
after 10m
clock is 2h behind
expect entry clock.stepped
expect in #security: the clock was set
after 20m
expect grant $fix ended expired
clock is right
expect no entry clock.stepped
expect verify
