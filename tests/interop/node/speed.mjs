// For bench/kit.py: a line of JSON in, {"tokens": [...]}; the CPU and wall microseconds that verifying all of them took out.
import { createInterface } from 'node:readline'
import { importJWK, jwtVerify } from 'jose'

const { jwk, issuer, audience } = JSON.parse(process.env.BENCH_KIT)
const key = await importJWK(jwk, 'ES256')
const options = { issuer, audience, algorithms: ['ES256'] }

for await (const line of createInterface({ input: process.stdin })) {
  const { tokens } = JSON.parse(line)
  const began = process.hrtime.bigint()
  const before = process.cpuUsage()
  for (const token of tokens) await jwtVerify(token, key, options)
  const { user, system } = process.cpuUsage(before)
  console.log(JSON.stringify({ cpu_us: user + system, wall_us: Number(process.hrtime.bigint() - began) / 1000 }))
}
