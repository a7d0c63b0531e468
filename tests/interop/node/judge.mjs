// Appended to the recipe of RECIPES.md: reads a token a line, answers what bare jose and the recipe make of it.
import { createInterface } from 'node:readline'

const bareKeys = createRemoteJWKSet(new URL(process.env.JWKS))
const judges = {
  // As jose's own documentation shows it, and with the algorithms named.
  jose: token => jwtVerify(token, bareKeys, { issuer: ISSUER, audience: AUDIENCE, algorithms: ['ES256', 'RS256', 'EdDSA'], clockTolerance: 60 }),
  recipe: claimsOf
}
const isRefusal = error => error instanceof errors.JOSEError || (error instanceof Refusal && error.status === 401)

async function outcome (judge, token) {
  try {
    await judge(token)
    return 'accepts'
  } catch (error) {
    return isRefusal(error) ? 'refuses' : `fails: ${error}`
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { token, only } = JSON.parse(line)
  const outcomes = {}
  for (const name of only.length ? only : Object.keys(judges)) outcomes[name] = await outcome(judges[name], token)
  console.log(JSON.stringify(outcomes))
}
