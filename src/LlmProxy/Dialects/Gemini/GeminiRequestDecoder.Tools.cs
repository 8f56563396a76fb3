using System.Text.Json;
using LlmProxy.Errors;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Gemini;

/// <content>Tools, and which of them may or must be called.</content>
internal sealed partial class GeminiRequestDecoder
{
    private void ReadTools(ref Utf8JsonReader reader)
    {
        if (!Expect(ref reader, JsonTokenType.StartArray, "tools", "an array of objects"))
        {
            return;
        }
        while (error is null && reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (!Expect(ref reader, JsonTokenType.StartObject, "tools[]", "an object"))
            {
                return;
            }
            while (error is null && reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var name = GeminiNames.CamelToken(ref reader, body);
                reader.Read();
                if (reader.TokenType == JsonTokenType.Null)
                {
                    continue;
                }
                if (name.Is("functionDeclarations"u8))
                {
                    ReadFunctions(ref reader);
                    continue;
                }
                var value = Raw(ref reader);
                byte[] raw = [(byte)'{', .. name.Token.Span, (byte)':', .. value.Span, (byte)'}'];
                request.Tools.Add(new NeutralTool { Kind = ToolKind.Provider, Name = name, Raw = raw });
            }
        }
    }

    private void ReadFunctions(ref Utf8JsonReader reader)
    {
        if (!Expect(ref reader, JsonTokenType.StartArray, "tools[].functionDeclarations", "an array of objects"))
        {
            return;
        }
        while (error is null && reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (!Expect(ref reader, JsonTokenType.StartObject, "tools[].functionDeclarations[]", "an object"))
            {
                return;
            }
            JsonText name = default, description = default;
            ReadOnlyMemory<byte> native = default, parameters = default;
            var others = new ExtensionBag();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var member = GeminiNames.CamelToken(ref reader, body);
                reader.Read();
                if (reader.TokenType == JsonTokenType.Null)
                {
                    continue;
                }
                if (member.Is("name"u8) && reader.TokenType == JsonTokenType.String)
                {
                    name = Text(ref reader);
                }
                else if (member.Is("description"u8) && reader.TokenType == JsonTokenType.String)
                {
                    description = Text(ref reader);
                }
                else if (member.Is("parameters"u8) && reader.TokenType == JsonTokenType.StartObject)
                {
                    native = Raw(ref reader);
                }
                else if (member.Is("parametersJsonSchema"u8) && reader.TokenType == JsonTokenType.StartObject)
                {
                    parameters = Raw(ref reader);
                }
                else
                {
                    others.Add(member, Raw(ref reader));
                }
            }
            if (name.IsBlank)
            {
                error = OpenAiErrors.Missing("tools[].functionDeclarations[].name");
                return;
            }
            var tool = new NeutralTool { Name = name, Description = description, NativeParameters = parameters.IsEmpty ? native : default };
            tool.Parameters = !parameters.IsEmpty ? parameters : native.IsEmpty ? default : GeminiSchema.ToJsonSchema(native);
            foreach (var other in others.Members)
            {
                tool.Extensions.Add(other.Key, other.Value);
            }
            request.Tools.Add(tool);
        }
    }

    private void ReadToolConfig(ref Utf8JsonReader reader)
    {
        if (!Expect(ref reader, JsonTokenType.StartObject, "toolConfig", "an object"))
        {
            return;
        }
        while (error is null && reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = GeminiNames.CamelToken(ref reader, body);
            reader.Read();
            if (name.Is("functionCallingConfig"u8) && reader.TokenType == JsonTokenType.StartObject)
            {
                ReadCalling(ref reader);
            }
            else if (reader.TokenType != JsonTokenType.Null)
            {
                request.Extensions.Add(Prefixed("toolConfig.", name), Raw(ref reader));
            }
        }
    }

    private void ReadCalling(ref Utf8JsonReader reader)
    {
        JsonText mode = default;
        var names = new List<JsonText>();
        while (error is null && reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = GeminiNames.CamelToken(ref reader, body);
            reader.Read();
            if (name.Is("mode"u8) && reader.TokenType == JsonTokenType.String)
            {
                mode = Text(ref reader);
            }
            else if (name.Is("allowedFunctionNames"u8) && reader.TokenType == JsonTokenType.StartArray)
            {
                ReadTexts(ref reader, names, "toolConfig.functionCallingConfig.allowedFunctionNames");
            }
            else if (reader.TokenType != JsonTokenType.Null)
            {
                request.Extensions.Add(Prefixed("toolConfig.functionCallingConfig.", name), Raw(ref reader));
            }
        }
        if (error is not null || (!mode.Exists && names.Count == 0))
        {
            return;
        }
        NeutralToolChoice choice;
        if (mode.Is("ANY"u8))
        {
            choice = names.Count == 0 ? new() { Mode = ToolChoiceMode.Required }
                : names.Count == 1 ? new() { Mode = ToolChoiceMode.Named }
                : new() { Mode = ToolChoiceMode.Allowed, IsRequired = true };
        }
        else if (mode.Is("NONE"u8))
        {
            choice = new() { Mode = ToolChoiceMode.None };
        }
        else if (!mode.Exists || mode.Is("AUTO"u8) || mode.Is("VALIDATED"u8) || mode.Is("MODE_UNSPECIFIED"u8))
        {
            choice = new() { Mode = names.Count == 0 ? ToolChoiceMode.Auto : ToolChoiceMode.Allowed };
            if (mode.Is("VALIDATED"u8))
            {
                choice.Extensions.Add(JsonText.From("mode"), mode.Token);
            }
        }
        else
        {
            error = OpenAiErrors.Invalid("toolConfig.functionCallingConfig.mode", "'AUTO', 'ANY', 'NONE' or 'VALIDATED'");
            return;
        }
        choice.Names.AddRange(names);
        request.ToolChoice = choice;
    }
}
