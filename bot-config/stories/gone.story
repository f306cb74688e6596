# A resource is taken out of the config while its access is live and asked for: what is open is shut all the same, at its
# end or before, and what was only asked for is not opened any more.
@requester: /access prod-api 1h reading settings                 => $api
@approver: /access approve $api
@second: /access approve $api
expect grant $api live until 10:00
@requester: /access prod-host 1h looking at the load             => $host
@second: /access approve $host
expect grant $host live
@second: /access prod-host 1h looking too                        => $late
reload smaller
expect grant $api live
@approver: /access approve $late
expect refusal: prod-host
expect grant $late pending
@requester: /access done $host
expect grant $host ended returned
restart
after 1h
expect grant $api ended expired
expect grant $late lapsed
expect verify
