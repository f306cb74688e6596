# The rules of policy.cedar: what they allow beyond the lists, and what they forbid.
@requester: /access prod-db 90m a long migration
expect refusal: needs a ticket in the reason
@requester: /access prod-db 90m a long migration, INC-42         => $ticket
expect grant $ticket pending
@requester: /access cancel $ticket

# A short look at staging, in working hours, needs nobody.
@requester: /access staging-host 30m looking at the logs         => $look
expect entry request.autoapproved
expect grant $look live until 09:30
expect card $look in #approvals: staging-in-working-hours
@requester: /access staging-host 31m looking for longer          => $longer
expect grant $longer pending
@guard: /access staging-host 10m not my group
expect refusal: you may not ask for
# 17:59 in Berlin is in working hours, 18:00 is not, and neither is Saturday.
at 2026-01-09 17:59 Europe/Berlin
@requester: /access staging-host 10m before the weekend          => $friday
expect grant $friday live
after 1m
@requester: /access staging-host 10m a minute late               => $late
expect grant $late pending
@requester: /access cancel $late
at 2026-01-10 12:00
@requester: /access staging-host 10m on a Saturday               => $saturday
expect grant $saturday pending

# Whoever is on call may break the glass where no list names them.
@requester: /access break-glass prod-host 10m the host is down
expect refusal: you may not break the glass
@second: /access break-glass prod-host 10m the host is down      => $call
expect grant $call live
