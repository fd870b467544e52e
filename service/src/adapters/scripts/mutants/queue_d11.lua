-- D11: admission is done by the two scripts queue_d11_range.lua and queue_d11_trim.lua, with a gap between them.
function queue.admit() end
