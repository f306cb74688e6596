"""A session that a library nobody here wrote lives against the stand-in: discord.py logs in, is connected (with transport
compression), registers a command, hears an interaction, defers, follows up, answers with a form, posts, edits and opens a
thread. Arguments: the stand-in's REST address, its gateway, the token, guild and channel."""
import asyncio
import sys

import aiohttp
import discord
import yarl

base, gateway, token, guild_id, channel_id = sys.argv[1:6]
discord.http.Route.BASE = f"{base}/api/v10"
discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway)

discord.utils.setup_logging()
client = discord.Client(intents=discord.Intents.none())
tree = discord.app_commands.CommandTree(client)
guild = discord.Object(int(guild_id))
done = asyncio.Event()


@tree.command(name="access", description="Ask for access", guild=guild)
async def access(interaction: discord.Interaction, resource: str):
    await interaction.response.defer(ephemeral=True)
    await interaction.edit_original_response(content=f"asked for {resource}", allowed_mentions=discord.AllowedMentions.none())
    await interaction.followup.send("and more", ephemeral=True, allowed_mentions=discord.AllowedMentions.none())
    channel = client.get_partial_messageable(int(channel_id))
    none = discord.AllowedMentions.none()
    message = await channel.send(embed=discord.Embed(title="a card"), nonce="n1", allowed_mentions=none)
    await message.edit(embed=discord.Embed(title="a card, changed"), allowed_mentions=none)
    await client.http.start_thread_with_message(int(channel_id), message.id, name="history", auto_archive_duration=1440)
    print("said", flush=True)


class Reason(discord.ui.Modal, title="Deny"):
    text = discord.ui.TextInput(label="Why not?")

    async def on_submit(self, interaction: discord.Interaction):
        await interaction.response.send_message(f"denied: {self.text.value}", ephemeral=True,
                                                allowed_mentions=discord.AllowedMentions.none())
        print("denied", flush=True)


@client.event
async def on_interaction(interaction: discord.Interaction):
    if interaction.type is discord.InteractionType.component:
        await interaction.response.send_modal(Reason(custom_id="deny:1"))
        print("form", flush=True)


@client.event
async def on_ready():
    await tree.sync(guild=guild)
    print("ready", flush=True)


@client.event
async def on_resumed():
    print("resumed", flush=True)


async def main():
    async with client:
        await asyncio.wait_for(client.start(token), 60)


try:
    asyncio.run(main())
except (asyncio.TimeoutError, aiohttp.ClientError, KeyboardInterrupt):
    sys.exit(1)
