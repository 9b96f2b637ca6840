-- Puts a profile in the place of any there is; a load that is under way comes to nothing.
return keep(arg(), tonumber(arg()), tonumber(arg()))
