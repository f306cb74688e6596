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

# Set forward, it ends what would be over by then: an access may end early, and never late.
@requester: /access prod-db 30m fixing INC-43                    => $next
@approver: /access approve $next
clock is 2h ahead
expect entry clock.jumped
expect in #security: the clock was set
expect grant $next ended expired
@requester: /access prod-db 30m fixing INC-44                    => $last
@approver: /access approve $last
# And set right again, it gives nothing back.
clock is right
expect entry clock.stepped
after 29m
expect grant $last live
after 1m
expect grant $last ended expired
expect verify
