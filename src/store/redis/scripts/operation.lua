end

-- What it did to sessions comes last in every answer.
local answer = operation()
answer[#answer + 1] = acts
return answer
