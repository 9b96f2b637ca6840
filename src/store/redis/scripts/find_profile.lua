-- The profile of a login as long as it is kept.
if not kept then return {'none'} end
return profile(fresh and 'fresh' or 'stale')
