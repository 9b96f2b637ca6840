-- Brings a load to its end, unless it was overtaken.
local ticket, word = arg(), arg()
if loaded_by ~= ticket or now >= leased_until then return {'overtaken'} end
if word == 'found' then return keep(arg(), tonumber(arg()), tonumber(arg())) end
if word == 'missing' then kept = false end
note('m', word, 'w', now + tonumber(arg()), 'n', 'u')
return {'noted'}
