# A provider that can't be reached, and one that never answers: no grant outlives its time.
provider prod-db fails
@requester: /access prod-db 30m fixing INC-42                    => $late
@approver: /access approve $late
expect grant $late deferred
expect card $late in #approvals: could not open it yet
provider prod-db is back
after 5s
# The time runs from when the door was opened.
expect grant $late live
provider prod-db fails
after 33m
expect grant $late ending expired
expect card $late in #approvals: Not closed yet
expect notice to @approver: the provider can't close it
expect notice to @requester: should be closed
provider prod-db is back
after 5m
expect grant $late ended expired

provider prod-host hangs
@requester: /access prod-host 30m looking at the load            => $lost
@second: /access approve $lost
expect grant $lost ordered
provider prod-host is back
# What became of the order is unknown, so the door is shut to be sure.
after 31s
expect grant $lost ended unknown
expect notice to @requester: could not be opened
expect verify
