# The service is away for a while: what fell due meanwhile is met first thing when it is back.
@requester: /access prod-db 30m fixing INC-42                    => $fix
@approver: /access approve $fix
@requester: /access prod-db 30m from 12:00 the migration         => $noon
@approver: /access approve $noon
@requester: /access prod-host 1h nobody answers                  => $never
@requester: /access prod-api 1h one of two answers               => $half
@approver: /access approve $half
restart after 4h
expect entry service.started
expect grant $fix ended expired
expect grant $never lapsed
expect notice to @requester: lapsed
# Its time is counted from when it is opened, and that was late.
expect grant $noon live until 13:30
expect grant $half pending
# Whoever should have been reminded meanwhile is reminded now, and once.
expect notice to @second: waits for your approval
restart
expect no notice to @second
@second: /access approve $half
expect grant $half live until 14:00
# The next start finds the end of both past.
restart after 3d
expect grant $noon ended expired
expect grant $half ended expired
expect verify
